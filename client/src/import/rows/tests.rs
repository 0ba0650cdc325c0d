use proptest::prelude::*;

use super::*;

fn org1() -> AuthorityName {
    "org1".parse().unwrap()
}

fn csv(text: &str) -> Vec<Row> {
    read(text.as_bytes(), Format::Csv, &org1()).unwrap()
}

fn json(text: &str) -> Vec<Row> {
    read(text.as_bytes(), Format::JsonLines, &org1()).unwrap()
}

/// A row's wish in one line.
fn words(row: &Row) -> String {
    match &row.wish {
        Ok(Wish::State { access, iss, exp }) => {
            let Access { sub, obj, act, effect, cond, reference, .. } = access;
            let effect = effect.as_str();
            format!("{effect} {sub} {act} {obj} {iss:?} {exp:?} {cond:?} {reference:?}")
        }
        Ok(Wish::Withdraw { key: Key { sub, obj, act }, iss }) => format!("revoked {sub} {act} {obj} {iss:?}"),
        Err(RowFault { code, field, detail }) => format!("{code} {}: {detail}", field.as_deref().unwrap_or("-")),
    }
}

#[test]
fn the_seed_tuple_is_read_to_the_letter() {
    let line = r#"{"sub":"1234-org2","obj":"file.dat","access":"granted","iss":"tomorrow","exp":"tomorrow+1","issuingAuth":"org1","added":"now"}"#;
    let rows = json(line);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].text, line.as_bytes());
    assert_eq!(words(&rows[0]), "granted user:1234-org2 * resource:file.dat Some(Day(1)) Some(Day(2)) None None");
}

#[test]
fn only_sub_and_obj_are_required() {
    for row in [&csv("sub,obj\nalice,file:x\n")[0], &json(r#"{"sub":"alice","obj":"file:x"}"#)[0]] {
        assert_eq!(words(row), "granted user:alice * file:x None None None None");
    }
    let full = csv(
        "obj,sub,act,access,iss,exp,ref,cond,issuingAuth,added\nf,a,read,denied,now,+8h,T-1,context.x,org1,whenever\n",
    );
    assert_eq!(
        words(&full[0]),
        r#"denied user:a read resource:f Some(After(0)) Some(After(28800000)) Some("context.x") Some("T-1")"#
    );
    let nulls = json(
        r#"{"sub":"a","obj":"b","act":null,"access":null,"iss":null,"exp":null,"ref":null,"cond":null,"issuingAuth":null,"added":1732270503}"#,
    );
    assert_eq!(words(&nulls[0]), "granted user:a * resource:b None None None None");
}

#[test]
fn names_may_be_any_text_and_patterns() {
    let rows = json("{\"sub\":\"zoe\u{308}\",\"obj\":\"file:Büro/*\"}\n{\"sub\":\"role:staff\",\"obj\":\"*\"}");
    assert_eq!(words(&rows[0]), "granted user:zo%C3%AB * file:B%C3%BCro/* None None None None");
    assert_eq!(words(&rows[1]), "granted role:staff * * None None None None");
}

#[test]
fn a_withdrawal_names_a_key() {
    let rows = csv("sub,obj,act,access,iss,ref\na,b,,revoked,,T-1\na,b,read,revoked,2016-01-01,\n");
    assert_eq!(words(&rows[0]), "revoked user:a * resource:b None");
    assert!(words(&rows[1]).starts_with("revoked user:a read resource:b Some(At("), "{}", words(&rows[1]));
}

#[test]
fn a_denial_of_membership_on_a_pattern_is_withdrawn_by_its_own_words() {
    let told = |access: &str| words(&csv(&format!("sub,obj,act,access\na,role:*,member,{access}\n"))[0]);
    assert!(told("denied").starts_with("denied user:a member role:*"), "{}", told("denied"));
    assert_eq!(told("revoked"), "revoked user:a member role:* None");
    assert!(told("granted").starts_with("bad_request obj: "), "{}", told("granted"));
}

#[test]
fn a_faulty_row_is_refused_with_its_member_and_the_others_are_not() {
    for (line, want) in [
        (r#"{"obj":"b"}"#, "bad_request sub: the row has no `sub`"),
        (r#"{"sub":"a"}"#, "bad_request obj: the row has no `obj`"),
        (r#"{"sub":"","obj":"b"}"#, "bad_request sub: "),
        (r#"{"sub":"a","obj":"b*c"}"#, "bad_request obj: "),
        (r#"{"sub":"a","obj":"b","act":"read write"}"#, "bad_request act: "),
        (r#"{"sub":"a","obj":"b","act":"member"}"#, "bad_request obj: "),
        (r#"{"sub":"a","obj":"b","act":"member","access":"revoked"}"#, "bad_request obj: "),
        (
            r#"{"sub":"a","obj":"b","access":"allowed"}"#,
            "bad_request access: `allowed`, expected `granted`, `denied` or `revoked`",
        ),
        (r#"{"sub":"a","obj":"b","access":"revoked","exp":"+8h"}"#, "bad_request exp: a withdrawal has no end"),
        (r#"{"sub":"a","obj":"b","access":"revoked","cond":"x"}"#, "bad_request cond: a withdrawal has no condition"),
        (r#"{"sub":"a","obj":"b","iss":"noon"}"#, "bad_request iss: `noon` is no time"),
        (r#"{"sub":"a","obj":"b","exp":""}"#, "bad_request exp: `` is no time"),
        (r#"{"sub":"a","obj":"b","ref":""}"#, "bad_request ref: "),
        (
            r#"{"sub":"a","obj":"b","issuingAuth":"org2"}"#,
            "bad_request issuingAuth: the row is of authority `org2`, the import is of `org1`",
        ),
        (r#"{"sub":"a","obj":"b","subject":"c"}"#, "bad_request subject: there is no member `subject`"),
        (r#"{"sub":"a","obj":"b","subject":null}"#, "bad_request subject: there is no member `subject`"),
        (r#"{"sub":"a","obj":"b","sub":"c"}"#, "bad_request sub: the member stands twice"),
        (r#"{"sub":1,"obj":"b"}"#, "bad_request sub: expected a text or `null`"),
        (r#"["a","b"]"#, "bad_request -: the line is no JSON object"),
        (r#"{"sub":"a","obj":"b"} {}"#, "bad_request -: the line is no JSON object"),
        (r#"{"sub":"a","#, "bad_request -: the line is no JSON object"),
        ("\u{1b}[2J", "bad_request -: the line is no JSON object"),
    ] {
        let good = r#"{"sub":"a","obj":"b"}"#;
        let rows = json(&format!("{good}\n{line}\n{good}"));
        assert_eq!(rows.len(), 3, "{line}");
        assert!(rows[0].wish.is_ok() && rows[2].wish.is_ok(), "{line}");
        let words = words(&rows[1]);
        assert!(words.starts_with(want), "{line}: {words}");
        assert!(!words.contains('\u{1b}'), "{words}");
        assert_eq!(rows[1].line, 2);
    }
    let bytes = read(b"\xff\n{\"sub\":\"a\",\"obj\":\"b\"}", Format::JsonLines, &org1()).unwrap();
    assert_eq!(words(&bytes[0]), "bad_request -: the line is not UTF-8");
    assert!(bytes[1].wish.is_ok());
}

#[test]
fn a_faulty_line_of_csv_is_refused_and_the_others_are_not() {
    let rows = csv("sub,obj,act\na,b\na,b,c,d\n a,b,c\na,\"b\nc\",d\na,b,c\n");
    let found: Vec<_> = rows.iter().map(|row| (row.line, words(row))).collect();
    for ((line, words), (want_line, want)) in found.iter().zip([
        (2, "bad_request -: 2 cells, the first line names 3 columns"),
        (3, "bad_request -: 4 cells"),
        (4, "bad_request sub: the cell begins or ends with white space"),
        (5, "granted user:a d resource:b%0Ac"),
        (7, "granted user:a c resource:b"),
    ]) {
        assert!(*line == want_line && words.starts_with(want), "{line} {words}: expected {want_line} {want}");
    }
    let unknown = csv("sub,obj,colour\na,b,\n");
    assert!(words(&unknown[0]).starts_with("bad_request colour: "), "{}", words(&unknown[0]));
    for torn in ["a,\"file:x", "a,\"file:x\nb,c\n", "a\"b,c\n"] {
        let rows = csv(&format!("sub,obj\nb,c\n{torn}"));
        assert!(rows[0].wish.is_ok());
        assert_eq!(words(&rows[1]), "bad_request -: a quote without the one that ends it", "{torn}");
    }
    assert!(csv("sub,obj\n\"a \"\"b\"\"\",c\n")[0].wish.is_ok());
    let bytes = read(b"sub,obj\na,\xff\nb,c\n", Format::Csv, &org1()).unwrap();
    assert_eq!(words(&bytes[0]), "bad_request obj: the cell is not UTF-8");
    assert!(bytes[1].wish.is_ok());
}

#[test]
fn a_file_without_its_columns_is_no_import() {
    for (text, want) in [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("a,b\nc,d\n", "names no column `sub`; it names a,b"),
        ("sub\na\n", "names no column `obj`"),
        ("sub,obj,sub\n", "names the column `sub` twice"),
    ] {
        let error = read(text.as_bytes(), Format::Csv, &org1()).unwrap_err().to_string();
        assert!(error.contains(want), "{text:?}: {error}");
    }
    for utf16 in [b"\xff\xfes\0u\0b\0", b"\xfe\xff\0s\0u\0b"] {
        for format in [Format::Csv, Format::JsonLines] {
            let error = read(utf16, format, &org1()).unwrap_err().to_string();
            assert_eq!(error, "the file is UTF-16, expected UTF-8");
        }
    }
    assert_eq!(json(""), []);
}

#[test]
fn text_line_and_ordinal_of_a_row_do_not_depend_on_how_lines_end() {
    let place = |rows: Vec<Row>| -> Vec<(u64, String, u64)> {
        rows.into_iter().map(|row| (row.line, String::from_utf8(row.text).unwrap(), row.ordinal)).collect()
    };
    let want = |rows: &[(u64, &str, u64)]| -> Vec<(u64, String, u64)> {
        rows.iter().map(|(line, text, ordinal)| (*line, (*text).into(), *ordinal)).collect()
    };
    let rows = [(2, "a,b", 0), (3, "a,c", 0), (4, "a,b", 1)];
    assert_eq!(place(csv("sub,obj\na,b\na,c\na,b")), want(&rows));
    assert_eq!(place(csv("sub,obj\na,b\na,c\na,b\n")), want(&rows));
    assert_eq!(place(csv("sub,obj\r\na,b\r\na,c\r\na,b\r\n")), want(&rows));
    assert_eq!(place(csv("\u{feff}sub,obj\na,b\na,c\na,b\n")), want(&rows));
    assert_eq!(
        place(csv("\n\nsub , obj\n\na,b\n\n\na,c\n\na,b\n\n")),
        want(&[(5, "a,b", 0), (8, "a,c", 0), (10, "a,b", 1)])
    );
    assert_eq!(place(csv("sub,obj\na,\"x\ny\"\na,b\n")), want(&[(2, "a,\"x\ny\"", 0), (4, "a,b", 0)]));
    let line = r#"{"sub":"a","obj":"b"}"#;
    for text in [format!("{line}\n{line}"), format!("\u{feff}{line}\r\n{line}\r\n"), format!("  {line} \n{line}\t\n")] {
        assert_eq!(place(json(&text)), want(&[(1, line, 0), (2, line, 1)]), "{text:?}");
    }
}

#[test]
fn the_format_follows_from_the_name_or_the_first_letter() {
    for (name, bytes, want) in [
        ("a.csv", "{", Format::Csv),
        ("a.jsonl", "sub", Format::JsonLines),
        ("a.NDJSON", "", Format::JsonLines),
        ("rows", "\n {\"sub\":", Format::JsonLines),
        ("rows", "\u{feff}{", Format::JsonLines),
        ("rows.txt", "sub,obj", Format::Csv),
    ] {
        assert_eq!(Format::guess(name, bytes.as_bytes()), want, "{name} {bytes:?}");
    }
}

proptest! {
    /// The same rows as CSV and as JSON lines want the same.
    #[test]
    fn csv_and_json_lines_say_the_same(rows in prop::collection::vec(any_cells(), 0..6)) {
        let columns = ["sub", "obj", "act", "access", "exp", "ref"];
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(columns).unwrap();
        let mut lines = String::new();
        for cells in &rows {
            writer.write_record(cells).unwrap();
            let members = columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
            let object: serde_json::Map<String, Value> = members.map(|(c, v)| ((*c).into(), v.as_str().into())).collect();
            lines.push_str(&serde_json::to_string(&object).unwrap());
            lines.push('\n');
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let wishes = |rows: Vec<Row>| rows.into_iter().map(|row| row.wish).collect::<Vec<_>>();
        prop_assert_eq!(wishes(csv(&text)), wishes(json(&lines)));
    }

    /// Whatever the bytes are, reading them comes to an end, and each row is a piece of them.
    #[test]
    fn any_bytes_are_cut_into_pieces_of_themselves(bytes in prop::collection::vec(any_byte(), 0..80)) {
        for format in [Format::Csv, Format::JsonLines] {
            let mut file = if format == Format::Csv { b"sub,obj\n".to_vec() } else { Vec::new() };
            file.extend(&bytes);
            let Ok(rows) = read(&file, format, &org1()) else { continue };
            let mut from = 0;
            for row in rows {
                let text = String::from_utf8_lossy(&row.text).into_owned();
                prop_assert!(!row.text.is_empty());
                let at = file[from..].windows(row.text.len()).position(|piece| piece == row.text);
                prop_assert!(at.is_some(), "{:?}", text);
                from += at.unwrap() + row.text.len();
                prop_assert!(row.line <= 1 + file.iter().filter(|byte| **byte == b'\n').count() as u64);
            }
        }
    }
}

fn any_cells() -> impl Strategy<Value = Vec<String>> {
    let name =
        prop_oneof![Just("alice"), Just("file:x/y"), Just("Zoë, \"the\" first"), Just("role:staff"), Just("bad*")];
    let word = |words: &'static [&'static str]| prop::sample::select(words);
    (
        name.clone(),
        name,
        word(&["", "read", "member", "no good"]),
        word(&["", "granted", "denied", "revoked", "what"]),
        word(&["", "tomorrow", "2030-01-01", "x"]),
        word(&["", "T-1", "a\nb"]),
    )
        .prop_map(|(sub, obj, act, access, exp, reference)| {
            [sub, obj, act, access, exp, reference].map(String::from).to_vec()
        })
}

fn any_byte() -> impl Strategy<Value = u8> {
    prop_oneof![3 => prop::sample::select(b"a,\"\r\n {}x:".to_vec()), 1 => any::<u8>()]
}
