//! Every command that the documentation shows exists, with the options that it shows.
//!
//! Looked at are the lines of fenced `sh` and `console` blocks that start with a program of ours, a script of ours or `just`
//! (after an optional prompt `$ `). The programs are asked for their `--help`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use super::Tree;

const PROGRAMS: [&str; 2] = ["writ", "writ-node"];

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut helps = Helps::default();
    let menu = tree.read("justfile".as_ref())?;
    for page in tree.with_ending(".md") {
        for (line, command) in commands(&tree.read(page)?) {
            if let Some(fault) = fault(tree, &mut helps, &menu, &command) {
                findings.push(format!("{}:{line}: `{command}`: {fault}", page.display()));
            }
        }
    }
    Ok(findings)
}

fn fault(tree: &Tree, helps: &mut Helps, menu: &str, command: &str) -> Option<String> {
    let mut words = command.split_whitespace().map(|word| word.trim_matches('"')).skip_while(|word| word.contains('='));
    let program = words.next()?;
    if program.starts_with("scripts/") {
        return (!tree.root.join(program).exists()).then(|| format!("no file `{program}`"));
    }
    if program == "just" {
        let target = words.next()?;
        let found = menu.lines().any(|line| line.split([':', ' ']).next() == Some(target) && line.contains(':'));
        return (!found).then(|| format!("the justfile has no `{target}`"));
    }
    let name = program.rsplit('/').next()?;
    if !PROGRAMS.contains(&name) {
        return None;
    }
    let words: Vec<&str> =
        words.take_while(|word| !matches!(*word, "|" | ">" | "&" | "#" | "&&" | "||" | ";")).collect();
    let mut help = helps.of(&[name])?;
    let mut path = vec![name];
    for word in words.iter().take_while(|word| !word.starts_with('-')) {
        if !help.lines().any(|line| line.split_whitespace().next() == Some(word) && line.starts_with("  ")) {
            // The first plain word must be a subcommand; a later one may be an argument.
            if path.len() == 1 {
                return Some(format!("no subcommand `{word}`"));
            }
            break;
        }
        path.push(word);
        help = helps.of(&path)?;
    }
    let options = words.iter().filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap_or(word));
    let unknown = options.filter(|option| *option != "--").find(|option| !help.contains(*option));
    unknown.map(|option| format!("no option `{option}`"))
}

/// The texts of `--help`, each asked for once.
#[derive(Default)]
struct Helps(HashMap<Vec<String>, Option<String>>);

impl Helps {
    fn of(&mut self, path: &[&str]) -> Option<String> {
        let key: Vec<String> = path.iter().map(|word| (*word).to_owned()).collect();
        let ask = || {
            // Beside this program: all of them are built into one folder.
            let beside: PathBuf = std::env::current_exe().ok()?.parent()?.join(path[0]);
            let said = Command::new(beside).args(&path[1..]).arg("--help").output().ok()?;
            said.status.success().then(|| String::from_utf8_lossy(&said.stdout).into_owned())
        };
        self.0.entry(key).or_insert_with(ask).clone()
    }
}

/// The command lines of fenced blocks, with their lines; a line that ends in `\` goes on in the next.
fn commands(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let (mut in_shell, mut in_other, mut continues) = (false, false, false);
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if let Some(language) = trimmed.strip_prefix("```") {
            let opens = !in_shell && !in_other;
            in_shell = opens && matches!(language.trim(), "sh" | "console" | "bash");
            in_other = opens && !in_shell;
            continue;
        }
        if !in_shell {
            continue;
        }
        let command = trimmed.strip_prefix("$ ").unwrap_or(trimmed);
        let (command, goes_on) = command.strip_suffix('\\').map_or((command, false), |start| (start, true));
        match found.last_mut().filter(|_| continues) {
            Some((_, start)) => start.push_str(command),
            None => found.push((at + 1, command.to_owned())),
        }
        continues = goes_on;
    }
    found
}
