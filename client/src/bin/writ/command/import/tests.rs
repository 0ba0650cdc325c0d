use super::*;

#[test]
fn a_summary_is_as_it_was_looked_at() {
    let refused = |line, field: Option<&str>, detail: &str| Refused {
        line,
        code: "bad_request".into(),
        field: field.map(Into::into),
        detail: detail.into(),
    };
    let summary = Summary {
        rows: 12_013,
        appended: 12_000,
        duplicate: 3,
        revoked: 7,
        entries_revoked: 9,
        nothing_to_revoke: 1,
        refused: 2,
        ended: Vec::new(),
        refusals: vec![refused(6, Some("sub"), "no \u{1b}name"), refused(12_011, None, "3 cells")],
        set: None,
    };
    assert_eq!(
        words(&summary, Style::PLAIN),
        "appended           12000\n\
         duplicate              3\n\
         revoked                7  9 entries\n\
         nothing to revoke      1\n\
         refused                2\n\
         \n\
         line   code         field  why\n    \
            6  bad_request  sub    no \\u{1b}name\n\
         12011  bad_request  -      3 cells\n"
    );
    let clean = Summary { refused: 0, refusals: Vec::new(), entries_revoked: 7, ..summary };
    assert!(
        words(&clean, Style::PLAIN)
            .ends_with("revoked                7\nnothing to revoke      1\nrefused                0\n")
    );
}

#[test]
fn a_long_list_of_refused_rows_is_cut_and_said_so() {
    let refusals = (0..60)
        .map(|line| Refused { line, code: "bad_request".into(), field: None, detail: String::new() })
        .collect::<Vec<_>>();
    let text = words(&Summary { refused: 60, refusals, ..Summary::default() }, Style::PLAIN);
    assert!(text.ends_with("and 10 more; `--json` lists them all\n"), "{text}");
}
