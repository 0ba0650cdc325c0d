//! The means to break things really break them: else every test that uses them would pass for nothing.

use std::fs::File;
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use writ_tests::netlab::Netlab;
use writ_tests::skip;
use writ_tests::volume::Volume;

#[test]
fn a_power_cut_loses_what_was_not_flushed_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (image, mount) = (folder.path().join("image"), folder.path().join("disk"));
    let made = Volume::ext4(&image, &mount, 64);
    let Some(mut volume) = skip::unless("a_power_cut_loses_what_was_not_flushed", made) else { return };
    let (flushed, unflushed) = (mount.join("flushed"), mount.join("unflushed"));
    {
        let mut file = File::create(&flushed).expect("a new disk takes files");
        file.write_all(b"kept").expect("it has room");
        file.sync_all().expect("it can be flushed");
        File::open(&mount).and_then(|folder| folder.sync_all()).expect("its names too");
        File::create(&unflushed).and_then(|mut file| file.write_all(b"lost")).expect("it has room");
        assert_eq!(std::fs::read(&unflushed).expect("it reads back"), b"lost");
        volume.cut().expect("the power can be cut");
        assert!(File::create(mount.join("after")).is_err(), "a disk without power takes nothing");
    }
    volume.restore();
    assert_eq!(std::fs::read(&flushed).expect("what was flushed is there"), b"kept");
    assert!(std::fs::read(&unflushed).unwrap_or_default().is_empty(), "what was not is gone");
}

#[test]
fn a_small_disk_fills_up_and_empties() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = Volume::small(folder.path(), 4);
    let Some(volume) = skip::unless("a_small_disk_fills_up_and_empties", made) else { return };
    let ballast = volume.fill();
    let more = |name: &str| std::fs::write(volume.path().join(name), [1; 8192]);
    assert!(more("full").is_err());
    std::fs::remove_file(ballast).expect("it is there");
    more("empty").expect("there is room again");
}

#[test]
fn a_network_is_cut_healed_and_stretched() {
    let made = Netlab::new(3);
    let Some(lab) = skip::unless("a_network_is_cut_healed_and_stretched", made) else { return };
    // One TCP connection, there and back.
    let reaches = |from: usize, to: usize| -> Option<Duration> {
        let script = format!(
            "import socket, time\n\
             t = time.monotonic()\n\
             s = socket.socket()\n\
             s.settimeout(1.5)\n\
             try:\n    s.connect(('{}', 9))\n\
             except ConnectionRefusedError:\n    print(time.monotonic() - t)\n\
             except OSError:\n    pass\n",
            Netlab::address(to)
        );
        let wrapper = lab.wrapper(from);
        let output = Command::new(&wrapper[0]).args(&wrapper[1..]).args(["python3", "-c", &script]).output();
        let said = String::from_utf8_lossy(&output.expect("python starts").stdout).into_owned();
        said.trim().parse().ok().map(Duration::from_secs_f64)
    };
    let all = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
    assert!(all.iter().all(|(from, to)| reaches(*from, *to).is_some()), "everybody reaches everybody");
    assert!(lab.carried() >= 12, "and the hub carried it");

    lab.isolate(2);
    for (from, to) in all {
        assert_eq!(reaches(from, to).is_some(), from != 2 && to != 2, "{from} to {to} while 2 is alone");
    }
    lab.heal();
    lab.cut(0, 1);
    assert!(reaches(0, 1).is_none() && reaches(1, 0).is_none(), "nobody connects one way only");
    assert!(reaches(0, 2).is_some());
    lab.heal();
    lab.stretch(100, 0, 0);
    let took = reaches(0, 1).expect("it is only slow");
    assert!(took >= Duration::from_millis(200), "there and back took {took:?}");
    lab.heal();
    assert!(reaches(0, 1).is_some());

    // A door leads in, whatever the hub does.
    lab.isolate(0);
    let wrapper = lab.wrapper(0);
    let mut server = Command::new(&wrapper[0]);
    let server = server.args(&wrapper[1..]).args(["python3", "-m", "http.server", "8000", "--bind", "127.0.0.1"]);
    let mut server = server.current_dir("/run/netns").spawn().expect("a server starts");
    let url = lab.door(0, "127.0.0.1:8000".parse().expect("an address"));
    let (http, start) = (writ_tests::http::Http::new(&url), Instant::now());
    let answer = loop {
        match http.try_get("/") {
            Ok(answer) => break Some(answer.status),
            Err(_) if start.elapsed() < writ_tests::wait::LONG => std::thread::sleep(Duration::from_millis(20)),
            Err(_) => break None,
        }
    };
    let _ = server.kill();
    let _ = server.wait();
    assert_eq!(answer, Some(200));
}
