//! PostgreSQL on the same full question, in the best form that we found: one call of a function that keeps the plans of its
//! few small statements.
//!
//! What is done for it: texts are numbers; memberships are joined beforehand with the patterns over their roles; every table
//! is read by an index that has all its columns; the server has all of it in memory, asks at one instant (Writ asks over the
//! interval that its clock vouches for), never plans again, and writes nothing; the caller names the patterns that
//! cover subject and object. It answers yes or no, without reasons.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use writ_proto::name::{Name, candidates};
use writ_proto::record::Effect;
use writ_tests::process::{Process, command};

use super::{Server, free_port, ready, run_to_end};
use crate::dataset::{Dataset, Fate};
use crate::load::{self, Protocol, Script, postgres};
use crate::traffic::Asked;

const SCHEMA: &str = include_str!("postgres.sql");
const USER: &str = "bench";
const DATABASE: &str = "postgres";
/// Milliseconds since 1970 at the start of the year 2100, as in the rows that the node has.
const YEAR_2100: i64 = 4_102_444_800_000;
/// Actions as numbers; `*` is 0.
const ACTIONS: [&str; 5] = ["*", "read", "write", "share", "member"];

/// Settings of a server that only reads, from memory.
const SETTINGS: [&str; 10] = [
    "shared_buffers=512MB",
    "fsync=off",
    "synchronous_commit=off",
    "autovacuum=off",
    "jit=off",
    "max_parallel_workers_per_gather=0",
    "plan_cache_mode=force_generic_plan",
    "random_page_cost=1.0",
    "max_connections=64",
    "log_min_messages=error",
];

/// Starts a server with the dataset.
pub(super) fn start(programs: &Path, dataset: &Dataset) -> anyhow::Result<Server> {
    let folder = TempDir::new().context("cannot make a folder for PostgreSQL")?;
    let owner = Owner::of(folder.path())?;
    let data = folder.path().join("data");
    let mut init = owner.command(&programs.join("initdb"));
    run_to_end({
        init.arg("--pgdata").arg(&data).args(["--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8"]);
        init.args(["--username", USER]);
        init
    })?;
    let port = free_port()?;
    let mut serve = owner.command(&programs.join("postgres"));
    serve.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", ""]);
    serve.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
    let process = Process::start(serve, &folder.path().join("stderr"));
    let load = load_script(folder.path(), dataset)?;
    let opening = postgres::opening(USER, DATABASE, "SELECT 1");
    let alive = Script::new(Protocol::Postgres, opening, [postgres::request(&[])]);
    let server = ready(process, folder, port, &alive)?;
    run_to_end({
        let mut psql = command(&programs.join("psql"), ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
        psql.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", USER, "-d", DATABASE, "-f"]).arg(load);
        psql
    })?;
    Ok(server)
}

/// The questions as calls.
pub(super) fn script(questions: &[Asked]) -> anyhow::Result<Script> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis().to_string();
    let patterns = |name: &str| -> anyhow::Result<String> {
        let texts: Vec<String> = candidates(&Name::parse_full(name)?).map(|text| text.to_string()).collect();
        Ok(postgres::array(texts.iter().map(String::as_str)))
    };
    let mut requests = Vec::with_capacity(questions.len());
    for Asked { sub, act, obj } in questions {
        let act = number_of(act)?.to_string();
        requests.push(postgres::request(&[&patterns(sub)?, &act, &patterns(obj)?, &now]));
    }
    let opening = postgres::opening(USER, DATABASE, "SELECT is_granted($1, $2, $3, $4)");
    Ok(Script::new(Protocol::Postgres, opening, requests))
}

/// The answers to the first `count` questions.
pub(super) fn decisions(address: SocketAddr, script: &Script, count: usize) -> anyhow::Result<Vec<bool>> {
    let is_granted = |answer: Vec<u8>| match answer.as_slice() {
        b"t" => Ok(true),
        b"f" => Ok(false),
        other => bail!("found `{}`, expected `t` or `f`", String::from_utf8_lossy(other)),
    };
    load::answers(address, script, count)?.into_iter().map(is_granted).collect()
}

/// Who runs the server: it refuses to be run by root.
struct Owner(Option<(u32, u32)>);

impl Owner {
    /// The user `postgres` if this is root; gives it the folder.
    fn of(folder: &Path) -> anyhow::Result<Self> {
        if fs::metadata(folder)?.uid() != 0 {
            return Ok(Self(None));
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let fields = users.lines().find_map(|line| line.strip_prefix("postgres:")).context("no user `postgres`")?;
        let id = |at: usize| fields.split(':').nth(at).and_then(|id| id.parse().ok()).context("no id of `postgres`");
        let (user, group) = (id(1)?, id(2)?);
        chown(folder, Some(user), Some(group))?;
        Ok(Self(Some((user, group))))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = command(program, [] as [&str; 0]);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        // Where the server's user may stand.
        command.current_dir("/");
        command
    }
}

/// Writes the schema and the rows as a script for `psql`.
fn load_script(folder: &Path, dataset: &Dataset) -> anyhow::Result<std::path::PathBuf> {
    let mut rows = String::from(
        "BEGIN;\nCREATE TABLE fact (sub text, act int, obj text, denies bool, entry int, start bigint, stop bigint);\n",
    );
    rows.push_str("COPY fact FROM stdin;\n");
    for position in 0..dataset.entries() {
        let fact = dataset.at(position);
        let (act, denies) = (number_of(fact.act)?, fact.effect == Effect::Deny);
        let stop = if fact.fate == Fate::EndsLater { YEAR_2100 } else { i64::MAX };
        writeln!(rows, "{}\t{act}\t{}\t{denies}\t{position}\t0\t{stop}", fact.sub, fact.obj)?;
    }
    rows.push_str("\\.\nCREATE TABLE covering (role text, pattern text);\nCOPY covering FROM stdin;\n");
    let mut roles: Vec<String> = (0..dataset.entries())
        .map(|position| dataset.at(position))
        .filter(|fact| fact.act == "member" && fact.effect == Effect::Grant)
        .map(|fact| fact.obj)
        .collect();
    roles.sort_unstable();
    roles.dedup();
    for role in roles {
        for pattern in candidates(&Name::parse_full(&role)?) {
            writeln!(rows, "{role}\t{pattern}")?;
        }
    }
    rows.push_str("\\.\n");
    rows.push_str(SCHEMA);
    let file = folder.join("load.sql");
    fs::write(&file, rows)?;
    Ok(file)
}

fn number_of(act: &str) -> anyhow::Result<usize> {
    let at = ACTIONS.iter().position(|known| *known == act);
    ensure!(at.is_some(), "no number for action `{act}`");
    Ok(at.unwrap_or_default())
}
