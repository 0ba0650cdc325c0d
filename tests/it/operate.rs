//! What an operator does with a node: lets callers in, backs up, restores, repairs, reads exit codes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use writ_proto::api::RecordStatus;
use writ_tests::files;
use writ_tests::http::Http;
use writ_tests::node::{Node, assert_sound};
use writ_tests::process::{Process, command};
use writ_tests::programs;
use writ_tests::raw;
use writ_tests::wait;
use writ_tests::world::{World, text};
use writ_tests::writ::writ;

/// What a run of `writ-node` to its end said.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn writ_node(arguments: &[&str]) -> Ran {
    let output = command(&programs::writ_node(), arguments).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it says text");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Ran {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(&self, what: &str) {
        assert!(self.err.contains(what), "`{what}` is not in `{}`", self.err);
    }
}

/// A node at an address of its own, which need not let anybody see that it is ready.
struct Listening {
    process: Process,
    port: String,
}

fn listen(home: &Path, address: &str) -> Listening {
    let mut command = command(&programs::writ_node(), ["run", "--home", &text(home), "--listen", address]);
    command.stdout(Stdio::piped());
    let mut process = Process::start(command, Path::new(&format!("{}.stderr", text(home))));
    let mut line = String::new();
    let read = BufReader::new(process.stdout().expect("stdout is a pipe")).read_line(&mut line);
    assert!(read.is_ok() && line.starts_with("http://"), "it does not listen: {}", process.said());
    let port = line.trim().rsplit(':').next().expect("a URL has a port").to_owned();
    Listening { process, port }
}

/// Asks for `path` at `address`, with these header lines; gives what was answered.
fn ask(address: &str, path: &str, headers: &[String]) -> String {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lines}\r\n");
    raw::speak(address, request.as_bytes(), Duration::from_secs(30))
}

/// An address of this machine that is not a loopback one.
fn own_address() -> Option<IpAddr> {
    // Nothing is sent: the system only says which of its addresses it would send from.
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

fn token(home: &Path, name: &str) -> String {
    let made = writ_node(&["token", "new", "--home", &text(home), "--name", name]).expect(0);
    made.out.trim().to_owned()
}

#[test]
fn callers_from_beyond_this_machine_show_a_token() {
    let world = World::new(&["org1"]);
    let home = world.home();
    let refused = writ_node(&["run", "--home", &text(&home), "--listen", "0.0.0.0:0"]).expect(8);
    refused.says("can be called from beyond this machine");
    refused.says("token new");
    assert_eq!(refused.out, "");

    let (gate, audit) = (token(&home, "gate"), token(&home, "audit"));
    let listed = writ_node(&["token", "list", "--home", &text(&home)]).expect(0);
    assert_eq!(
        listed.out.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect::<Vec<_>>(),
        ["gate", "audit"]
    );
    assert!(!listed.out.contains(&gate) && !listed.out.contains(&audit), "tokens are never shown again");
    let file = home.join("tokens");
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);

    let Some(own) = own_address() else {
        eprintln!("SKIPPED: this machine has no address beyond loopback, so nobody can call from one");
        return;
    };
    let mut node = listen(&home, "0.0.0.0:0");
    let (near, far) = (format!("127.0.0.1:{}", node.port), format!("{own}:{}", node.port));
    let bearer = |token: &str| vec![format!("Authorization: Bearer {token}")];
    wait::until("the node to be ready", || (raw::status(&ask(&near, "/readyz", &[])) == Some(200)).then_some(()));
    for (case, address, path, headers, want) in [
        ("near", &near, "/v1/status", vec![], 200),
        ("far", &far, "/v1/status", vec![], 401),
        ("far, alive", &far, "/healthz", vec![], 200),
        ("far, ready", &far, "/readyz", vec![], 401),
        ("far, metrics", &far, "/metrics", vec![], 401),
        ("far, no such path", &far, "/nowhere", vec![], 401),
        ("far, a token", &far, "/v1/status", bearer(&gate), 200),
        ("far, another token", &far, "/metrics", bearer(&audit), 200),
        ("far, lower case", &far, "/v1/status", vec![format!("authorization: bearer {gate}")], 200),
        ("far, wrong", &far, "/v1/status", bearer(&gate[1..]), 401),
        ("far, empty", &far, "/v1/status", bearer(""), 401),
        ("far, two", &far, "/v1/status", [bearer(&gate), bearer(&gate)].concat(), 401),
        ("far, a lie", &far, "/v1/status", vec!["X-Forwarded-For: 127.0.0.1".into()], 401),
        ("far, no such path, a token", &far, "/nowhere", bearer(&gate), 404),
    ] {
        let said = ask(address, path, &headers);
        assert_eq!(raw::status(&said), Some(want), "{case}: {said}");
        if want == 401 {
            let challenges = ["", ", error=\"invalid_token\""];
            let is_told = |more| said.contains(&format!("\r\nwww-authenticate: Bearer realm=\"writ\"{more}\r\n"));
            assert!(challenges.into_iter().any(is_told), "{case}: {said}");
            assert!(said.contains(r#""code":"unauthenticated""#), "{case}: {said}");
        }
    }
    assert!(ask(&near, "/metrics", &[]).contains("writ_http_strangers_total"), "strangers are counted");

    // Revoked while it runs.
    writ_node(&["token", "remove", "--home", &text(&home), "--name", "gate"]).expect(0);
    let status = |token: &str| raw::status(&ask(&far, "/v1/status", &bearer(token)));
    wait::until("the token to be refused", || (status(&gate) == Some(401)).then_some(()));
    assert_eq!(status(&audit), Some(200));
    // A file that cannot be relied on admits nobody, until it can.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("it can be opened up");
    wait::until("nobody to be let in", || (status(&audit) == Some(401)).then_some(()));
    assert_eq!(raw::status(&ask(&near, "/v1/status", &[])), Some(200));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it can be closed again");
    wait::until("the token to count again", || (status(&audit) == Some(200)).then_some(()));
    node.process.ask_to_stop();
    assert!(node.process.wait(wait::LONG).success());
}

#[test]
fn a_node_can_ask_this_machine_too() {
    let world = World::new(&["org1"]);
    let home = world.home();
    let config = home.join("writ.toml");
    let asks =
        fs::read_to_string(&config).expect("it is there").replace("require_token = false", "require_token = true");
    fs::write(&config, asks).expect("it can be written");
    writ_node(&["run", "--home", &text(&home), "--listen", "127.0.0.1:0"]).expect(8).says("http.require_token");

    let token = token(&home, "gate");
    let node = listen(&home, "127.0.0.1:0");
    let address = format!("127.0.0.1:{}", node.port);
    let bearer = [format!("Authorization: Bearer {token}")];
    assert_eq!(raw::status(&ask(&address, "/v1/status", &[])), Some(401));
    assert_eq!(raw::status(&ask(&address, "/healthz", &[])), Some(200));
    assert_eq!(raw::status(&ask(&address, "/v1/status", &bearer)), Some(200));
}

#[test]
fn a_backup_under_load_restores_to_the_same_chain() {
    let world = World::new(&["org1"]);
    let mut node = world.run();
    let (issuer, http) = (world.issuer("org1"), node.http().clone());
    let (home, file) = (world.home(), world.folder().join("backup"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (http, stop) = (http.clone(), &stop);
                scope.spawn(move || {
                    for number in 0.. {
                        if stop.load(Ordering::SeqCst) {
                            break;
                        }
                        let record = issuer.grant(&format!("u{writer}-{number}"), "read", "file:x");
                        let wait = if number % 3 == 0 { "wait=seen" } else { "wait=committed&wait_ms=60000" };
                        let answer = http.try_submit(&record, wait).expect("the node answers");
                        assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
                    }
                })
            })
            .collect();
        wait::until("some blocks", || (http.status().height > 20).then_some(()));
        for number in 0..3 {
            let to =
                world.folder().join(format!("backup{}", if number == 0 { String::new() } else { number.to_string() }));
            let made = writ_node(&["backup", "--home", &text(&home), "--to", &text(&to)]).expect(0);
            assert_eq!(made.out.lines().collect::<Vec<_>>(), [text(&to), text(&to) + ".waiting"]);
        }
        assert!(http.status().height > 20 && writers.iter().all(|writer| !writer.is_finished()), "all the while");
        stop.store(true, Ordering::SeqCst);
        writers.into_iter().for_each(|writer| writer.join().expect("a writer ends"));
    });
    writ_node(&["backup", "--home", &text(&home), "--to", &text(&file)]).expect(1).says("never written over");
    let metrics = node.http().get("/metrics").text();
    let told = metrics.lines().find_map(|line| line.strip_prefix("writ_backup_height "));
    assert!(told.is_some_and(|height| height.parse::<u64>().is_ok_and(|height| height > 20)), "{metrics}");

    // It is an export.
    let audited =
        writ(["audit", "--file", &text(&file), "--chain", &world.chain().to_string(), "--json"]).expect(0).json();
    let height = audited["height"].as_u64().expect("a height");
    assert!((20..=node.http().status().height).contains(&height), "{audited}");

    let restored = world.folder().join("restored");
    let done = writ_node(&["restore", "--from", &text(&file), "--home", &text(&restored)]).expect(0);
    assert_eq!(done.out.trim(), world.chain().to_string());
    assert_sound(&restored);
    let header: Value = node.http().read(&format!("/v1/headers?from={height}&limit=1"));
    assert_eq!(header["headers"][0]["commit_leaf"], audited["commit_leaf"], "the original at that height: {header}");
    assert!(node.stop().success());
    assert_sound(&home);
}

#[test]
fn what_was_acknowledged_comes_back_and_a_lone_validator_never_signs_twice() {
    let world = World::new(&["org1"]);
    let mut node = world.run();
    let issuer = world.issuer("org1");
    let (home, old, new) = (world.home(), world.folder().join("old"), world.folder().join("new"));
    node.http().submit(&issuer.grant("alice", "read", "file:x"));
    writ_node(&["backup", "--home", &text(&home), "--to", &text(&old)]).expect(0);
    let denial = issuer.deny("alice", "read", "file:x");
    node.http().submit(&denial);
    assert!(node.stop().success());
    // A node that does not run is backed up all the same.
    writ_node(&["backup", "--home", &text(&home), "--to", &text(&new)]).expect(0);

    let run = |home: &Path| writ_node(&["run", "--home", &text(home), "--listen", "127.0.0.1:0"]);
    let database = home.join("db");
    files::remove(&database);
    run(&home).expect(4).says("it lost blocks or was replaced");
    // From the older backup the node would answer that alice may.
    writ_node(&["restore", "--from", &text(&old), "--home", &text(&home)]).expect(0).says("was at block");
    run(&home).expect(4).says("it lost blocks or was replaced");
    let refused = writ_node(&["repair", "--home", &text(&home), "--accept-loss"]).expect(1);
    refused.says("a second signature for one step");
    refused.says("restore from it");
    run(&home).expect(4);
    writ_node(&["repair", "--home", &text(&home)]).expect(2).says("--accept-loss");

    // From the newer one nothing is lost: its own sign guard is in its place.
    files::remove(&database);
    writ_node(&["restore", "--from", &text(&new), "--home", &text(&home)]).expect(0).says("stays as it was");
    writ_node(&["repair", "--home", &text(&home), "--accept-loss"]).expect(1).says("nothing to repair");
    node.start_again();
    assert_eq!(node.http().record(&denial.id()).status, RecordStatus::Committed);
    node.http().submit(&issuer.grant("bob", "read", "file:x"));
    assert!(node.stop().success());
    assert_sound(&home);

    // Elsewhere, with the key but without what it signed, it does not sign; nor could it ever come above its tip.
    let elsewhere = world.folder().join("elsewhere");
    fs::create_dir_all(elsewhere.join("keys")).expect("a temporary folder");
    for key in ["vote.key", "checkpoint.key", "node.key"] {
        fs::copy(home.join("keys").join(key), elsewhere.join("keys").join(key)).expect("it is copied");
    }
    let silent = writ_node(&["restore", "--from", &text(&new), "--home", &text(&elsewhere)]).expect(0);
    silent.says("does not start yet");
    run(&elsewhere).expect(4).says("sign guard");
    let above = ["restore", "--home", &text(&elsewhere), "--sign-above", "1000"];
    writ_node(&above).expect(1).says("only validator");

    // Until its operator says so, in so many words.
    writ_node(&["repair", "--home", &text(&elsewhere), "--accept-loss"]).expect(1);
    writ_node(&["repair", "--home", &text(&elsewhere), "--accept-loss", "--sign-again"]).expect(0);
    let noted = fs::read_to_string(elsewhere.join("guard/repairs.log")).expect("it is noted");
    assert!(noted.contains(r#""sign_again":true"#), "{noted}");
    let mut again = Node::run(&elsewhere);
    again.http().submit(&issuer.grant("carol", "read", "file:x"));
    assert!(again.stop().success());
    assert_sound(&elsewhere);
}

#[test]
fn a_lone_validator_that_lost_its_tip_guard_goes_on_once_it_is_repaired() {
    let world = World::new(&["org1"]);
    let mut node = world.run();
    let issuer = world.issuer("org1");
    node.http().submit(&issuer.grant("alice", "read", "file:x"));
    assert!(node.stop().success());
    let home = world.home();
    fs::remove_file(home.join("guard/tip")).expect("it was there");
    let run = ["run", "--home", &text(&home), "--listen", "127.0.0.1:0"];
    writ_node(&run).expect(4).says("the guard that knows where it should end is missing");
    writ_node(&["repair", "--home", &text(&home), "--accept-loss"]).expect(0).says("lost:");
    node.start_again();
    node.http().submit(&issuer.grant("bob", "read", "file:x"));
    assert!(node.stop().success());
    assert_sound(&home);
}

#[test]
fn exit_codes_say_who_must_act() {
    let world = World::new(&["org1"]);
    let home = world.home();
    let run = ["run", "--home", &text(&home), "--listen", "127.0.0.1:0"];
    let file = |name: &str| home.join(name);
    let spoil = |name: &str, spoil: &dyn Fn(&Path)| {
        let (path, aside) = (file(name), world.folder().join("aside"));
        fs::copy(&path, &aside).expect("it is there");
        let mode = fs::metadata(&path).expect("it is there").permissions();
        spoil(&path);
        move || {
            fs::copy(&aside, &path).expect("it can be put back");
            fs::set_permissions(&path, mode).expect("it can be put back");
        }
    };
    let write = |text: &'static str| move |path: &Path| fs::write(path, text).expect("it can be written");

    writ_node(&["run"]).expect(2);
    writ_node(&["run", "--home", "nowhere"]).expect(1);
    let mend = spoil("writ.toml", &write("[http]\nlisten = 7\n"));
    writ_node(&run).expect(8).says("is not a configuration");
    mend();
    let mend = spoil("keys/vote.key", &|path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("it can be opened up");
    });
    writ_node(&run).expect(8).says("chmod 600");
    mend();
    let mend = spoil("genesis.json", &|path| {
        let text = fs::read_to_string(path).expect("it is text").replace("\"protocol\": 2", "\"protocol\": 99");
        fs::write(path, text).expect("it can be written");
    });
    writ_node(&run).expect(7).says("protocol version 99");
    mend();
    fs::write(home.join("tokens"), "half a line\n").expect("it can be written");
    fs::set_permissions(home.join("tokens"), fs::Permissions::from_mode(0o600)).expect("it can be closed");
    writ_node(&run).expect(8).says("line 1 of the token file");
    fs::remove_file(home.join("tokens")).expect("it was there");

    let mut node = world.run();
    node.http().submit(&world.issuer("org1").grant("alice", "read", "file:x"));
    writ_node(&run).expect(1).says("in use");
    assert_eq!(node.stop().code(), Some(0));
    // Last, since a sign guard that is copied back is a copy.
    fs::remove_file(home.join("keys/sign-guard")).expect("it was there");
    writ_node(&run).expect(4).says("sign guard");
    assert!(writ_node(&["--help"]).expect(0).out.contains("Exit codes:"));
}

#[test]
fn an_engine_that_cannot_keep_its_log_ends_the_node_to_be_started_again() {
    let world = World::new(&["org1"]);
    let mut node = listen(&world.home(), "127.0.0.1:0");
    let http = Http::new(&format!("http://127.0.0.1:{}", node.port));
    let issuer = world.issuer("org1");
    http.submit(&issuer.grant("alice", "read", "file:x"));
    // From now on every write to the engine's log fails, and to nothing else.
    let log = Immutable(text(&world.home().join("wal/consensus.wal")));
    if !log.set("+i") {
        eprintln!("SKIPPED: no file can be made immutable here (it takes root and a file system that can)");
        return;
    }
    let mut number = 0;
    let status = wait::until("the node to end without a log", || {
        number += 1;
        let record = issuer.grant(&format!("u{number}"), "read", "file:x");
        // Whatever it answers, or whether.
        let _ = http.try_submit(&record, "wait=none");
        node.process.ended()
    });
    assert_eq!(status.code(), Some(6), "{}", node.process.said());
    assert!(log.set("-i"), "it can be undone");
    let mut again = world.run();
    again.http().submit(&issuer.grant("bob", "read", "file:x"));
    assert!(again.stop().success());
    assert_sound(&world.home());
}

/// A file that even its owner cannot write, until that is undone.
struct Immutable(String);

impl Immutable {
    fn set(&self, flag: &str) -> bool {
        let output = command(Path::new("chattr"), [flag, &self.0]).output();
        output.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        // Else the folder could not be removed.
        self.set("-i");
    }
}

#[test]
fn the_unit_file_is_one_that_systemd_takes() {
    let unit = fs::read_to_string(programs::workspace().join("docs/writ-node.service")).expect("it is there");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = unit.replace("/usr/local/bin/writ-node", &text(&programs::writ_node()));
    assert_ne!(here, unit, "it starts the node");
    let path = folder.path().join("writ-node.service");
    fs::write(&path, here).expect("a temporary folder can be written to");
    match command(Path::new("systemd-analyze"), ["verify", "--man=no", &text(&path)]).output() {
        Err(error) => eprintln!("SKIPPED: `systemd-analyze` does not start here: {error}"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            assert!(!said.contains("writ-node.service:"), "it has something to say about the unit: {said}");
        }
    }
}
