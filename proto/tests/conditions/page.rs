//! `docs/conditions.md` tells the truth.

use writ_proto::condition::{Condition, DEPTH_MAX};
use writ_proto::limits::CONDITION_BYTES_MAX;

const PAGE: &str = include_str!("../../../docs/conditions.md");

/// The lines of a section.
fn section(title: &str) -> impl Iterator<Item = &'static str> {
    let (_, after) = PAGE.split_once(&format!("\n## {title}\n")).expect("the section");
    after.lines().take_while(|line| !line.starts_with("## "))
}

#[test]
fn its_examples_are_conditions() {
    let mut read = 0;
    for row in section("Examples").filter(|line| line.starts_with("| ") && line.contains('`')) {
        let (_, example) = row.split_once(" | `").expect("an example in the second column");
        let text = example.trim_end_matches("` |").replace("\\|", "|");
        assert!(Condition::parse(&text).is_ok(), "{text}: {:?}", Condition::parse(&text));
        read += 1;
    }
    assert!(read >= 10, "only {read} examples");
    let (_, first) = PAGE.split_once("```text\n").expect("the first example");
    let first = first.lines().next().expect("its line");
    assert!(Condition::parse(first).is_ok(), "{first}");
}

#[test]
fn its_limits_are_the_limits() {
    let limits: String = section("Limits").collect();
    assert!(limits.contains(&format!("| length | {CONDITION_BYTES_MAX} bytes")), "{limits}");
    assert!(limits.contains(&format!("| depth | {DEPTH_MAX} levels")), "{limits}");
    #[cfg(feature = "api")]
    assert!(PAGE.contains(&format!("nest at most {} deep", writ_proto::condition::VALUE_DEPTH_MAX)));
}
