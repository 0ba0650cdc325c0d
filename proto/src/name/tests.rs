use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::limits::ACTION_BYTES_MAX;
use Side::{Object, Subject};

fn name(full: &str) -> Name {
    Name::parse_full(full).unwrap_or_else(|error| panic!("{full:?}: {error}"))
}

fn pattern(full: &str) -> Pattern {
    Pattern::parse_full(full).unwrap_or_else(|error| panic!("{full:?}: {error}"))
}

#[test]
fn names_are_read_by_their_side_and_written_shortly() {
    for (text, side, full, written) in [
        ("1234-org2", Subject, "user:1234-org2", "1234-org2"),
        ("1234-org2", Object, "resource:1234-org2", "1234-org2"),
        ("file.dat", Object, "resource:file.dat", "file.dat"),
        ("user:alice", Subject, "user:alice", "alice"),
        ("user:alice", Object, "user:alice", "user:alice"),
        ("resource:file.dat", Object, "resource:file.dat", "file.dat"),
        ("file:/etc/passwd", Object, "file:/etc/passwd", "file:/etc/passwd"),
        ("role:staff", Subject, "role:staff", "role:staff"),
        // Only the first colon splits, and an id with a colon keeps its type.
        ("user:a:b", Subject, "user:a:b", "user:a:b"),
        ("user:user:a", Subject, "user:user:a", "user:user:a"),
        ("https://example.com/x", Object, "https://example.com/x", "https://example.com/x"),
        // Types compare byte by byte too.
        ("User:alice", Subject, "User:alice", "User:alice"),
        ("a/b//c/", Subject, "user:a/b//c/", "a/b//c/"),
        ("/", Subject, "user:/", "/"),
        ("user::", Subject, "user::", "user::"),
        ("a b", Subject, "user:a b", "a b"),
        ("%20a%20", Subject, "user:%20a%20", "%20a%20"),
        ("%20", Subject, "user:%20", "%20"),
        ("%20 %20", Subject, "user:%20 %20", "%20 %20"),
        ("caf%C3%A9", Subject, "user:caf%C3%A9", "caf%C3%A9"),
        ("%25%00%1F%7F%80%FF", Subject, "user:%25%00%1F%7F%80%FF", "%25%00%1F%7F%80%FF"),
        (
            "!\"#$&'()+,-./;<=>?@[\\]^_`{|}~",
            Subject,
            "user:!\"#$&'()+,-./;<=>?@[\\]^_`{|}~",
            "!\"#$&'()+,-./;<=>?@[\\]^_`{|}~",
        ),
    ] {
        let read = Name::parse(text, side).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(read.as_str(), full);
        assert_eq!(read.to_text(side), written);
        assert_eq!(Name::parse(written, side), Ok(read.clone()), "{text:?}");
        assert_eq!((format!("{}:{}", read.type_(), read.id()), read.to_string()), (full.into(), full.into()));
        // What is an exact name is a pattern, with the same texts.
        let as_pattern = Pattern::parse(text, side).expect("a name is a pattern");
        assert_eq!(as_pattern.as_exact(), Some(&read));
        assert_eq!(as_pattern, Pattern::from(read));
        assert_eq!((as_pattern.as_str(), as_pattern.to_text(side)), (full, written.into()));
    }
}

#[test]
fn other_texts_are_no_names_and_no_patterns() {
    use NameError::*;
    let bad_type = |found: &str| BadType { found: found.into() };
    let character = |at, found: &str| BadCharacter { at, found: found.into() };
    let escape = |at, found: &str| BadEscape { at, found: found.into() };
    let cases = [
        ("", IdEmpty),
        ("user:", IdEmpty),
        (":", bad_type("")),
        (":x", bad_type("")),
        ("1234:x", bad_type("1234")),
        ("_a:x", bad_type("_a")),
        ("a b:x", bad_type("a b")),
        (" user:x", bad_type(" user")),
        ("user :x", bad_type("user ")),
        ("é:x", bad_type("é")),
        ("a/b:x", bad_type("a/b")),
        ("%user:x", bad_type("%user")),
        ("a\0:x", bad_type("a\0")),
        ("user:é", character(0, "é")),
        ("user:aé", character(1, "é")),
        ("日本", character(0, "日")),
        ("a\0b", character(1, "\0")),
        ("a\nb", character(1, "\n")),
        ("a\u{7f}", character(1, "\u{7f}")),
        ("a\u{202e}b", character(1, "\u{202e}")),
        (" a", character(0, " ")),
        ("a ", character(1, " ")),
        (" ", character(0, " ")),
        ("user: a", character(0, " ")),
        ("%", escape(0, "%")),
        ("a%", escape(1, "%")),
        ("a%2", escape(1, "%2")),
        ("a%C", escape(1, "%C")),
        ("a%zzz", escape(1, "%zz")),
        ("a%2é", escape(1, "%2é")),
        ("a%é", escape(1, "%é")),
        ("a%c3%a9", escape(1, "%c3")),
        ("a%C3%a9", escape(4, "%a9")),
        ("%+1", escape(0, "%+1")),
        // What can stand for itself may not be escaped: one name, one text.
        ("a%41", escape(1, "%41")),
        ("a%2Fb", escape(1, "%2F")),
        ("a%3Ab", escape(1, "%3A")),
        ("a%2Ab", escape(1, "%2A")),
        ("a%20b", escape(1, "%20")),
        ("a%20/", escape(1, "%20")),
        ("a%7Eb", escape(1, "%7E")),
        ("%20%20a", escape(3, "%20")),
    ];
    for (text, error) in cases {
        assert_eq!(Name::parse(text, Subject), Err(error.clone()), "{text:?}");
        assert_eq!(Pattern::parse(text, Subject), Err(error), "{text:?}");
    }
    for text in ["alice", "", "/", "%25"] {
        let error = TypeMissing { found: text.into() };
        assert_eq!(Name::parse_full(text), Err(error.clone()), "{text:?}");
        assert_eq!(Pattern::parse_full(text), Err(error), "{text:?}");
    }
}

#[test]
fn every_bound_is_reached_and_not_passed() {
    let longest_type = "t".repeat(NAME_TYPE_BYTES_MAX);
    let longest_id = "i".repeat(NAME_ID_BYTES_MAX);
    let most_segments = vec!["s"; NAME_SEGMENTS_MAX].join("/");
    let longest_prefix = format!("{}/*", "i".repeat(NAME_ID_BYTES_MAX - 2));
    let deepest_prefix = format!("{}*", "s/".repeat(NAME_SEGMENTS_MAX - 1));
    let escaped = "é".repeat(NAME_ID_BYTES_MAX / 6);

    assert_eq!(
        Name::parse(&format!("{longest_type}:{longest_id}"), Subject).map(|n| n.as_str().len()),
        Ok(32 + 1 + 256)
    );
    assert_eq!(
        Name::parse(&format!("{longest_type}t:x"), Subject),
        Err(NameError::BadType { found: format!("{longest_type}t").as_str().into() })
    );
    assert_eq!(Name::parse(&format!("{longest_id}i"), Subject), Err(NameError::IdTooLong { found: 257 }));
    assert_eq!(Name::parse(&most_segments, Subject).map(|n| n.to_text(Subject)), Ok(most_segments.clone()));
    assert_eq!(Name::parse(&format!("{most_segments}/"), Subject), Err(NameError::TooManySegments { found: 17 }));
    assert_eq!(Name::parse(&"/".repeat(15), Subject).map(|n| n.id().len()), Ok(15));
    assert_eq!(Name::parse(&"/".repeat(16), Subject), Err(NameError::TooManySegments { found: 17 }));

    assert!(Pattern::parse(&longest_prefix, Subject).is_ok());
    assert_eq!(Pattern::parse(&format!("i{longest_prefix}"), Subject), Err(NameError::IdTooLong { found: 257 }));
    assert!(Pattern::parse(&deepest_prefix, Subject).is_ok());
    assert_eq!(Pattern::parse(&format!("s/{deepest_prefix}"), Subject), Err(NameError::TooManySegments { found: 17 }));

    // Display text is measured as it will stand on the ledger.
    assert_eq!(Name::from_display(&escaped, Subject).map(|n| n.id().len()), Ok(252));
    assert_eq!(Name::from_display(&format!("{escaped}é"), Subject), Err(NameError::IdTooLong { found: 258 }));
    assert_eq!(Name::from_display(&"%".repeat(1_000_000), Subject), Err(NameError::IdTooLong { found: 3_000_000 }));

    let longest_action = "a".repeat(ACTION_BYTES_MAX);
    assert!(Action::parse(&longest_action).is_ok());
    assert!(Action::parse(&format!("{longest_action}a")).is_err());
}

#[test]
fn a_star_stands_alone_or_after_a_type_or_at_the_end_of_a_path() {
    for (text, side, full, written) in [
        ("*", Subject, "*", "*"),
        ("user:*", Subject, "user:*", "user:*"),
        ("resource:*", Object, "resource:*", "resource:*"),
        ("file:/*", Object, "file:/*", "file:/*"),
        ("file:acl/*", Object, "file:acl/*", "file:acl/*"),
        ("file:a//*", Object, "file:a//*", "file:a//*"),
        ("user:org1/*", Subject, "user:org1/*", "user:org1/*"),
        ("org1/*", Subject, "user:org1/*", "user:org1/*"),
        ("org1/*", Object, "resource:org1/*", "resource:org1/*"),
        ("/*", Object, "resource:/*", "resource:/*"),
        ("a:b:c/*", Object, "a:b:c/*", "a:b:c/*"),
        ("%20a/*", Object, "resource:%20a/*", "resource:%20a/*"),
        ("a /*", Object, "resource:a /*", "resource:a /*"),
    ] {
        let read = Pattern::parse(text, side).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!((read.as_str(), read.to_text(side).as_str(), read.as_exact()), (full, written, None), "{text:?}");
        assert_eq!(Pattern::parse_full(full), Ok(read.clone()));
        assert_eq!(Pattern::parse(written, side), Ok(read));
        // A question needs one exact name.
        let error = Name::parse(text, side).expect_err(text);
        assert_eq!(error, NameError::NotExact { found: text.into() });
        assert!(error.to_string().contains("not a pattern"), "{error}");
        assert_eq!(Name::from_display(text, side), Err(error));
        assert!(Name::parse_full(full).is_err());
    }
    for text in [
        "**",
        "a*",
        "*a",
        "a*b",
        "*/a",
        "*/*",
        "file:**",
        "file:a*",
        "file:*/x",
        "file:*x",
        "file:a/**",
        "file:a/*/*",
        "file:a/*b",
        "file:a/b*",
        "file:a:*",
        "user:* ",
        "* ",
        " *",
        "a/* ",
    ] {
        let error = NameError::MisplacedStar { found: text.into() };
        assert_eq!(Pattern::parse(text, Object), Err(error.clone()), "{text:?}");
        assert_eq!(Pattern::from_display(text, Object), Err(error), "{text:?}");
        assert_eq!(Name::parse(text, Object), Err(NameError::NotExact { found: text.into() }), "{text:?}");
    }
    for (text, found) in [("*:x", "*"), ("*:*", "*"), ("a*:x", "a*"), (":*", "")] {
        assert_eq!(Pattern::parse(text, Object), Err(NameError::BadType { found: found.into() }), "{text:?}");
    }
    assert_eq!(Pattern::parse("file:a%20/*", Object), Err(NameError::BadEscape { at: 1, found: "%20".into() }));
    assert_eq!(Pattern::parse(" a/*", Object), Err(NameError::BadCharacter { at: 0, found: " ".into() }));
    assert_eq!(Pattern::everything(), pattern("*"));
}

#[test]
fn a_pattern_covers_what_is_below_it_and_nothing_beside_it() {
    for (over, under, want) in [
        ("file:acl/*", "file:acl/x", true),
        ("file:acl/*", "file:acl/x/y", true),
        ("file:acl/*", "file:acl/", true),
        ("file:acl/*", "file:acl", false),
        ("file:acl/*", "file:acl2", false),
        ("file:acl/*", "file:acl2/x", false),
        ("file:acl/*", "file:ACL/x", false),
        ("file:acl/*", "file:x/acl/y", false),
        ("file:acl/*", "xfile:acl/x", false),
        ("file:/*", "file:/x", true),
        ("file:/*", "file:x", false),
        ("file:*", "file:x", true),
        ("file:*", "file:/x/y", true),
        ("file:*", "files:x", false),
        ("file:*", "fil:x", false),
        ("*", "user:x", true),
        ("*", "role:x/y", true),
        ("user:a", "user:a", true),
        ("user:a", "user:a/b", false),
        ("user:a/", "user:a/b", false),
        ("user:a", "role:a", false),
        ("user:a:b/*", "user:a:b/c", true),
    ] {
        assert_eq!(pattern(over).covers(&name(under)), want, "{over} {under}");
        assert_eq!(pattern(over).covers_pattern(&pattern(under)), want, "{over} {under}");
    }
    for (over, under, want) in [
        ("*", "*", true),
        ("*", "file:*", true),
        ("file:*", "*", false),
        ("file:*", "file:*", true),
        ("file:*", "file:a/*", true),
        ("file:*", "files:*", false),
        ("file:a/*", "file:*", false),
        ("file:a/*", "file:a/*", true),
        ("file:a/*", "file:a/b/*", true),
        ("file:a/b/*", "file:a/*", false),
        ("file:a/*", "file:ab/*", false),
        ("file:a/", "file:a/*", false),
        ("user:a", "*", false),
    ] {
        assert_eq!(pattern(over).covers_pattern(&pattern(under)), want, "{over} {under}");
    }
}

#[test]
fn candidates_come_most_specific_first() {
    let longest = format!("file:{}/a/", "i".repeat(NAME_ID_BYTES_MAX - 3));
    let above = longest.strip_suffix("a/").expect("its end");
    let roomy = format!("file:{}/a", "i".repeat(NAME_ID_BYTES_MAX - 2));
    let over_roomy = format!("{}*", roomy.strip_suffix('a').expect("its end"));
    let deepest = format!("f:{}x", "a/".repeat(NAME_SEGMENTS_MAX - 1));
    for (text, want) in [
        ("user:alice", vec!["user:alice", "user:*", "*"]),
        ("file:/x", vec!["file:/x", "file:/*", "file:*", "*"]),
        ("file:a/b/c", vec!["file:a/b/c", "file:a/b/*", "file:a/*", "file:*", "*"]),
        ("file:a//", vec!["file:a//", "file:a//*", "file:a/*", "file:*", "*"]),
        ("file:a:b/c", vec!["file:a:b/c", "file:a:b/*", "file:*", "*"]),
        // 255 bytes up to the last `/` leave room for a `*`, 256 do not.
        (roomy.as_str(), vec![roomy.as_str(), &over_roomy, "file:*", "*"]),
        (longest.as_str(), vec![longest.as_str(), &format!("{above}*"), "file:*", "*"]),
    ] {
        let name = name(text);
        assert_eq!(candidates(&name).collect::<Vec<_>>(), want);
        for candidate in candidates(&name) {
            assert!(pattern(&candidate).covers(&name), "{candidate}");
        }
    }
    assert_eq!(candidates(&name(&deepest)).count(), NAME_SEGMENTS_MAX + 2);
}

#[test]
fn only_roles_are_roles() {
    for (text, want) in
        [("role:staff", true), ("role:a/b:c", true), ("Role:staff", false), ("user:role", false), ("roles:x", false)]
    {
        assert_eq!(name(text).is_role(), want, "{text}");
    }
}

#[test]
fn actions_are_short_words_and_a_star_is_every_action() {
    for text in ["read", "member", "s3:GetObject", "a/b", "0", "A.b_c-d", "GET"] {
        let action = Action::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!((action.as_str(), action.to_string()), (text, text.into()));
        assert_eq!(ActionPattern::parse(text), Ok(action.clone().into()));
        assert_eq!(
            (action.is_member(), ActionPattern::Exact(action).is_member()),
            (text == "member", text == "member")
        );
    }
    for text in
        ["", "-a", ".a", "_a", ":a", "/a", "a b", " a", "a ", "a*", "**", "*a", "é", "aé", "a\0", "a%20", "a,b", "a\n"]
    {
        let error = NameError::BadAction { found: text.into() };
        assert_eq!(Action::parse(text), Err(error.clone()), "{text:?}");
        assert_eq!(text.parse::<ActionPattern>(), Err(error), "{text:?}");
    }
    assert_eq!("*".parse::<Action>(), Err(NameError::NotExact { found: "*".into() }));
    let [any, read, write] = ["*", "read", "write"].map(|text| ActionPattern::parse(text).expect(text));
    assert!(any.as_exact().is_none() && !any.is_member() && any == ActionPattern::Any);
    assert!(Action::member().is_member() && Action::parse(Action::MEMBER) == Ok(Action::member()));
    let action = Action::parse("read").expect("an action");
    assert_eq!([&any, &read, &write].map(|own| own.covers(&action)), [true, true, false]);
    for (own, other, want) in
        [(&any, &any, true), (&any, &read, true), (&read, &any, false), (&read, &read, true), (&read, &write, false)]
    {
        assert_eq!(own.covers_pattern(other), want, "{own} {other}");
    }
}

#[test]
fn ids_are_escaped_in_one_way_and_back() {
    for (text, ledger) in [
        ("alice", "alice"),
        ("café", "caf%C3%A9"),
        ("日本/東京", "%E6%97%A5%E6%9C%AC/%E6%9D%B1%E4%BA%AC"),
        ("50%", "50%25"),
        ("%25", "%2525"),
        (" a b ", "%20a b%20"),
        (" ", "%20"),
        ("  ", "%20%20"),
        ("   ", "%20 %20"),
        ("a / b", "a / b"),
        ("a\0\u{1b}\n\u{7f}", "a%00%1B%0A%7F"),
        ("a\u{a0}", "a%C2%A0"),
        ("a:b", "a:b"),
        ("", ""),
    ] {
        assert_eq!(escape::escape(text), ledger);
        assert_eq!(escape::unescape(ledger).as_deref(), Some(text));
        assert!(escape::is_canonical(ledger));
    }
    for (ledger, canonical) in
        [("%FF", true), ("a%C3", true), ("%41", false), ("%", false), ("é", false), (" a", false)]
    {
        assert_eq!(escape::unescape(ledger), None, "{ledger}");
        assert_eq!(escape::is_canonical(ledger), canonical, "{ledger}");
    }
}

#[test]
fn people_write_and_read_unicode() {
    for (text, side, full, written) in [
        ("café", Object, "resource:caf%C3%A9", "café"),
        ("resource:café", Object, "resource:caf%C3%A9", "café"),
        ("user:a:é", Subject, "user:a:%C3%A9", "user:a:é"),
        (" x ", Subject, "user:%20x%20", " x "),
        ("50%", Subject, "user:50%25", "50%"),
        ("%FF", Subject, "user:%25FF", "%FF"),
        ("%20", Subject, "user:%2520", "%20"),
        ("user:%x:y", Subject, "user:%25x:y", "user:%x:y"),
        ("é/*", Object, "resource:%C3%A9/*", "resource:é/*"),
        (" /*", Object, "resource:%20/*", "resource: /*"),
        ("*", Object, "*", "*"),
        ("file:*", Object, "file:*", "file:*"),
        // The marked form says byte by byte what stands on the ledger.
        ("%user:%FF", Subject, "user:%FF", "%user:%FF"),
        ("%user:caf%C3%A9", Subject, "user:caf%C3%A9", "café"),
        ("%file:%FF/*", Subject, "file:%FF/*", "%file:%FF/*"),
        ("%file:*", Subject, "file:*", "file:*"),
    ] {
        let read = Pattern::from_display(text, side).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!((read.as_str(), read.to_display(side).as_str()), (full, written), "{text:?}");
        if let Some(exact) = read.as_exact() {
            assert_eq!(Name::from_display(text, side).as_ref(), Ok(exact));
            assert_eq!(exact.to_display(side), written);
        }
    }
    for text in ["日本:x", "%:x", "%41:x", "%user:", "%user:%41", "%user:é", "%user:a:é", "", "user:", "a/b:é"] {
        assert!(Name::from_display(text, Subject).is_err(), "{text:?}");
        assert!(Pattern::from_display(text, Subject).is_err(), "{text:?}");
    }
    // Every byte of the ledger form counts in the bound, also in the display of the edges.
    let name = Name::from_display("a\u{1b}[2J", Subject).expect("a name");
    assert_eq!(name.to_display(Subject), "a\u{1b}[2J");
    let shown = name.to_display_if(Subject, |id| !id.contains(char::is_control));
    assert_eq!(shown, "%user:a%1B[2J");
    assert_eq!(Name::from_display(&shown, Subject), Ok(name));
    let below = Pattern::from_display("a\u{1b}/*", Subject).expect("a pattern");
    assert_eq!(below.to_display_if(Subject, |id| !id.contains(char::is_control)), "%user:a%1B/*");
}

#[test]
fn messages_quote_little_and_only_what_is_inert() {
    let nasty = "\x1b[2J\u{202e}é".repeat(10_000);
    for text in [
        nasty.clone(),
        format!("{nasty}:x"),
        format!("user:{}", &nasty[..20]),
        format!("{nasty}*"),
        format!("x:%{nasty}"),
        format!("x:{}%{nasty}", "i".repeat(300)),
    ] {
        let errors = [
            Name::parse(&text, Subject).err(),
            Name::parse_full(&text).err(),
            Name::from_display(&text, Subject).err(),
            Pattern::parse(&text, Subject).err(),
            Pattern::from_display(&text, Subject).err(),
            Action::parse(&text).err(),
            ActionPattern::parse(&text).err(),
        ];
        for error in errors.into_iter().flatten() {
            for message in [error.to_string(), format!("{error:?}")] {
                assert!(message.len() < 350 && !message.contains(['\x1b', '\u{202e}', '\n']), "{message}");
            }
        }
    }
    assert_eq!(
        Name::parse("1234:x", Subject).expect_err("no type").to_string(),
        "`1234` before the first colon is no type: expected a letter, then letters, digits, `_`, `.` or `-`, \
         at most 32 in all (an id that holds a colon needs its type before it, as in `user:a:b`)"
    );
}

#[test]
fn serde_carries_the_full_text_and_checks_it() {
    fn json<T: Serialize + for<'a> Deserialize<'a> + PartialEq + fmt::Debug>(value: &T, text: &str) {
        assert_eq!(serde_json::to_string(value).ok(), Some(text.to_string()));
        assert_eq!(serde_json::from_str::<T>(text).ok().as_ref(), Some(value));
        let fixed = bincode::config::legacy();
        let bytes = bincode::serde::encode_to_vec(value, fixed).expect("a text");
        assert_eq!(&bytes[8..], text.trim_matches('"').as_bytes());
        let (read, len) = bincode::serde::decode_from_slice::<T, _>(&bytes, fixed).expect("what was encoded");
        assert_eq!((&read, len), (value, bytes.len()));
    }
    json(&name("user:alice"), "\"user:alice\"");
    json(&pattern("*"), "\"*\"");
    json(&pattern("file:acl/*"), "\"file:acl/*\"");
    json(&pattern("user:alice"), "\"user:alice\"");
    json(&Action::member(), "\"member\"");
    json(&ActionPattern::Any, "\"*\"");
    for bad in
        ["\"alice\"", "\"user:*\"", "\"user: x\"", "\"user:é\"", "\"user:\"", "\"\"", "7", "null", "[\"user:x\"]"]
    {
        assert!(serde_json::from_str::<Name>(bad).is_err(), "{bad}");
    }
    for bad in ["\"alice\"", "\"**\"", "\"user:a*\"", "\"a/*\"", "\"\""] {
        assert!(serde_json::from_str::<Pattern>(bad).is_err(), "{bad}");
    }
    assert!(
        serde_json::from_str::<Action>("\"*\"").is_err() && serde_json::from_str::<ActionPattern>("\"a*\"").is_err()
    );
}

#[test]
fn names_and_patterns_are_found_in_maps_by_their_text() {
    let map: HashMap<Pattern, u8> =
        [("file:a/*", 1), ("file:a/b", 2), ("*", 3)].map(|(text, n)| (pattern(text), n)).into();
    let found: Vec<u8> = candidates(&name("file:a/b")).filter_map(|text| map.get(text.as_ref()).copied()).collect();
    assert_eq!(found, [2, 1, 3]);
    let names: BTreeSet<Name> = ["user:b", "role:z", "user:a/", "user:a"].map(name).into();
    assert_eq!(names.iter().map(Name::as_str).collect::<Vec<_>>(), ["role:z", "user:a", "user:a/", "user:b"]);
    assert!(names.contains("role:z"));
}

/// The rulings once more, slowly: by segments and by what an escape stands for.
mod naive {
    use super::*;

    /// The bytes that a ledger form stands for, if every `%` begins two hexadecimal digits.
    fn decode(ledger: &[u8]) -> Option<Vec<u8>> {
        match ledger {
            [] => Some(Vec::new()),
            [b'%', a, b, rest @ ..] => {
                let digits = [*a, *b];
                let digits =
                    core::str::from_utf8(&digits).ok().filter(|_| a.is_ascii_hexdigit() && b.is_ascii_hexdigit())?;
                let mut bytes = vec![u8::from_str_radix(digits, 16).ok()?];
                bytes.extend(decode(rest)?);
                Some(bytes)
            }
            [b'%', ..] => None,
            [byte, rest @ ..] => {
                let mut bytes = vec![*byte];
                bytes.extend(decode(rest)?);
                Some(bytes)
            }
        }
    }

    /// The ledger form of any bytes.
    pub(super) fn encode(bytes: &[u8]) -> String {
        let text: String = bytes
            .iter()
            .map(|&byte| {
                if (0x20..0x7f).contains(&byte) && byte != b'%' {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
        let text = text.strip_prefix(' ').map(|rest| format!("%20{rest}")).unwrap_or(text);
        text.strip_suffix(' ').map(|rest| format!("{rest}%20")).unwrap_or(text)
    }

    pub(super) fn is_id(id: &str) -> bool {
        (1..=256).contains(&id.len())
            && id.split('/').count() <= 16
            && id.is_ascii()
            && decode(id.as_bytes()).is_some_and(|bytes| encode(&bytes) == id)
    }

    pub(super) fn is_type(text: &str) -> bool {
        let word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        text.len() <= 32 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(word)
    }

    pub(super) fn is_name(full: &str) -> bool {
        full.split_once(':').is_some_and(|(kind, id)| is_type(kind) && is_id(id) && !id.contains('*'))
    }

    pub(super) fn is_pattern(full: &str) -> bool {
        if full == "*" || is_name(full) {
            return true;
        }
        let Some((kind, id)) = full.split_once(':') else { return false };
        let segments: Vec<&str> = id.split('/').collect();
        let Some((last, others)) = segments.split_last() else { return false };
        is_type(kind) && is_id(id) && *last == "*" && others.iter().all(|segment| !segment.contains('*'))
    }

    pub(super) fn covers(pattern: &str, name: &str) -> bool {
        let Some((pattern_type, pattern_id)) = pattern.split_once(':') else { return pattern == "*" };
        let Some((name_type, name_id)) = name.split_once(':') else { return false };
        let above: Vec<&str> = pattern_id.split('/').collect();
        let below: Vec<&str> = name_id.split('/').collect();
        pattern_type == name_type
            && match above.split_last() {
                Some((&"*", above)) => below.len() > above.len() && below.starts_with(above),
                _ => above == below,
            }
    }
}

#[test]
fn all_short_texts_are_judged_as_the_naive_rules_judge_them() {
    let letters = ["a", "*", "/", ":", "%", " ", "2", "0", "C", "5", "é"];
    let mut texts = vec![String::new()];
    let mut longest = texts.clone();
    for _ in 0..5 {
        longest = longest.iter().flat_map(|text| letters.map(|letter| format!("{text}{letter}"))).collect();
        texts.extend(longest.iter().cloned());
    }
    let mut counts = [0; 4];
    for text in texts {
        for full in [text.clone(), format!("a:{text}")] {
            let (is_name, is_pattern) = (naive::is_name(&full), naive::is_pattern(&full));
            assert_eq!(Name::parse_full(&full).is_ok(), is_name, "{full:?}");
            assert_eq!(Pattern::parse_full(&full).is_ok(), is_pattern, "{full:?}");
            counts[0] += usize::from(is_name);
            counts[1] += usize::from(is_pattern && !is_name);
        }
        let full = if text.contains(':') || text == "*" { text.clone() } else { format!("user:{text}") };
        let parsed = Pattern::parse(&text, Subject);
        assert_eq!(
            parsed.as_ref().ok().map(Pattern::as_str),
            Some(full.as_str()).filter(|full| naive::is_pattern(full)),
            "{text:?}"
        );
        assert_eq!(
            Name::parse(&text, Subject).ok().as_ref(),
            parsed.as_ref().ok().and_then(Pattern::as_exact),
            "{text:?}"
        );
        counts[2] += usize::from(parsed.is_ok());
        if let Ok(read) = Pattern::from_display(&text, Subject) {
            assert_eq!(Pattern::from_display(&read.to_display(Subject), Subject), Ok(read), "{text:?}");
            counts[3] += 1;
        }
        assert_eq!(escape::unescape(&escape::escape(&text)).as_deref(), Some(text.as_str()));
        assert_eq!(escape::escaped_len(&text), escape::escape(&text).len());
        if let Some(decoded) = escape::unescape(&text) {
            assert_eq!(escape::escape(&decoded), text);
        }
    }
    // All four kinds were met often enough to mean something.
    assert!(counts.iter().all(|count| *count > 500), "{counts:?}");
}

/// Ids that are close enough to one another to be covered now and then.
fn close_id() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["", "a", "b", "ab", "a b", "a:b", "%25", "%C3%A9", "%FF"]);
    prop::collection::vec(segment, 1..5)
        .prop_map(|segments| segments.join("/"))
        .prop_filter("an id", |id| !id.is_empty())
}

fn close_name() -> impl Strategy<Value = Name> {
    (prop::sample::select(vec!["user", "file", "f"]), close_id()).prop_map(|(kind, id)| name(&format!("{kind}:{id}")))
}

fn close_pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        1 => Just(Pattern::everything()),
        1 => close_name().prop_map(|name| pattern(&format!("{}:*", name.type_()))),
        4 => close_name().prop_map(|name| pattern(&format!("{name}/*"))),
        2 => close_name().prop_map(Pattern::from),
    ]
}

/// Every id that can stand on the ledger, most of them no valid UTF-8.
fn any_name() -> impl Strategy<Value = Name> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b" %/:a\xc3\xa9".to_vec())];
    let id = prop::collection::vec(byte.prop_filter("no star", |byte| *byte != b'*'), 1..40);
    let kind = prop::sample::select(vec!["user", "resource", "role"]);
    (kind, id)
        .prop_map(|(kind, id)| format!("{kind}:{}", naive::encode(&id)))
        .prop_filter("at most 16 segments", |full| full.split('/').count() <= NAME_SEGMENTS_MAX)
        .prop_map(|full| name(&full))
}

fn any_side() -> impl Strategy<Value = Side> {
    prop::sample::select(vec![Subject, Object])
}

proptest! {
    #[test]
    fn covering_agrees_with_the_naive_rules(over in close_pattern(), under in close_name()) {
        prop_assert_eq!(over.covers(&under), naive::covers(over.as_str(), under.as_str()));
        prop_assert_eq!(over.covers_pattern(&under.clone().into()), over.covers(&under));
    }

    /// Among many patterns, the candidates of a name are exactly those that cover it.
    #[test]
    fn candidates_are_the_patterns_that_cover(patterns in prop::collection::vec(close_pattern(), 0..60), under in close_name()) {
        let candidates: Vec<_> = candidates(&under).collect();
        prop_assert!(candidates.len() <= NAME_SEGMENTS_MAX + 2);
        for over in patterns {
            prop_assert_eq!(over.covers(&under), candidates.contains(&over.as_str().into()), "{} {}", over, under);
        }
        // Each covers all that come before it, and none after: the most specific comes first.
        let as_patterns: Vec<Pattern> = candidates.iter().map(|text| pattern(text)).collect();
        for (i, over) in as_patterns.iter().enumerate() {
            prop_assert!(over.covers(&under));
            for (j, other) in as_patterns.iter().enumerate() {
                prop_assert_eq!(over.covers_pattern(other), i >= j);
            }
        }
    }

    #[test]
    fn covering_patterns_is_a_partial_order_that_keeps_names(
        a in close_pattern(), b in close_pattern(), c in close_pattern(), names in prop::collection::vec(close_name(), 1..20),
    ) {
        prop_assert!(a.covers_pattern(&a) && Pattern::everything().covers_pattern(&a));
        prop_assert!(!(a.covers_pattern(&b) && b.covers_pattern(&c)) || a.covers_pattern(&c));
        prop_assert_eq!(a.covers_pattern(&b) && b.covers_pattern(&a), a == b);
        for name in &names {
            prop_assert!(!(a.covers_pattern(&b) && b.covers(name)) || a.covers(name));
        }
        // Where it does not cover, some name tells the two apart.
        let below = b.as_str().strip_suffix('*').map(|prefix| match prefix {
            "" => "zzz:z".to_string(),
            prefix => format!("{prefix}zzz"),
        });
        let witness = name(&below.unwrap_or_else(|| b.as_str().to_string()));
        prop_assert!(b.covers(&witness));
        prop_assert_eq!(a.covers_pattern(&b), a.covers(&witness));
    }

    #[test]
    fn patterns_overlap_where_one_covers_the_other_and_so_where_some_name_is_of_both(
        a in close_pattern(), b in close_pattern(), names in prop::collection::vec(close_name(), 1..20),
    ) {
        let overlap = overlap_texts(a.as_str(), b.as_str());
        prop_assert_eq!(overlap, a.covers_pattern(&b) || b.covers_pattern(&a));
        prop_assert_eq!(overlap, overlap_texts(b.as_str(), a.as_str()));
        prop_assert!(overlap || !names.iter().any(|name| a.covers(name) && b.covers(name)));
    }

    #[test]
    fn every_name_reads_back_in_every_spelling(name in any_name(), side in any_side()) {
        prop_assert_eq!(Name::parse_full(name.as_str()), Ok(name.clone()));
        prop_assert_eq!(Name::parse(&name.to_text(side), side), Ok(name.clone()));
        prop_assert_eq!(Name::from_display(&name.to_display(side), side), Ok(name.clone()));
        prop_assert_eq!(Name::from_display(&name.to_display_if(side, |_| false), side), Ok(name.clone()));
        for text in candidates(&name) {
            let over = pattern(&text);
            prop_assert_eq!(Pattern::parse(&over.to_text(side), side), Ok(over.clone()));
            prop_assert_eq!(Pattern::from_display(&over.to_display(side), side), Ok(over.clone()));
            prop_assert_eq!(Pattern::from_display(&over.to_display_if(side, |_| false), side), Ok(over.clone()));
        }
    }

    /// Whatever a person can write comes back as it was written, unless it was written with more than needed.
    #[test]
    fn display_text_comes_back(id in "[^*]{1,20}", side in any_side()) {
        let full = format!("{}:{id}", side.default_type());
        if let Ok(name) = Name::from_display(&full, side) {
            let written = if id.contains(':') { &full } else { &id };
            prop_assert_eq!(&name.to_display(side), written);
            prop_assert!(name.as_str().bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        }
    }

    #[test]
    fn any_text_is_answered_without_a_panic(text in ".{0,300}", side in any_side()) {
        let _ = (Name::parse(&text, side), Name::parse_full(&text), Name::from_display(&text, side));
        let _ = (Pattern::parse(&text, side), Pattern::parse_full(&text), Pattern::from_display(&text, side));
        let _ = (Action::parse(&text), ActionPattern::parse(&text), escape::unescape(&text));
        let ledger = escape::escape(&text);
        prop_assert!(escape::unescape(&ledger).is_some_and(|read| read == text));
    }
}
