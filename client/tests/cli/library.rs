//! The library against nodes that stumble.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use writ_client::append::{AppendError, Appender};
use writ_client::author::{Author, random_nonce};
use writ_client::client::{Client, Filter, Question, Wait};
use writ_client::import::Ledger as _;
use writ_client::import::plan::Target;
use writ_client::import::rows::Key;
use writ_client::import::run::Settled;
use writ_client::verify::View;
use writ_client::{ClientError, clock};
use writ_proto::api::{RecordStatus, Tuple, digest_from_base64};
use writ_proto::name::{Pattern, Side};
use writ_proto::record::{Access, Body, Effect, Nonce, RecordId, Revoke, Signed};

use crate::node::{Faults, Node, key};

fn said(n: u8) -> (Nonce, Body) {
    let tuple = Tuple { sub: format!("u{n}"), obj: "file:x".into(), ..Tuple::default() };
    (Nonce([n; 16]), Body::Access(tuple.to_access().unwrap()))
}

fn client(nodes: &[&Node]) -> Client {
    Client::new(nodes.iter().map(|node| node.url())).unwrap()
}

fn author(client: &Client) -> Author {
    Author::find(client, key(1), None, None).unwrap()
}

fn signed(author: &Author, said: impl IntoIterator<Item = (Nonce, Body)>) -> Vec<Signed> {
    author.sign_all(said.into_iter().collect(), clock::now()).unwrap()
}

#[test]
fn a_record_signed_again_later_is_the_same_and_its_proof_is_checked_by_its_first_bytes() {
    let node = Node::new(&["org1"]);
    let client = client(&[&node]);
    let author = author(&client);
    let (nonce, body) = said(1);
    let first = author.sign(nonce, body.clone(), clock::now()).unwrap();
    let later = author.sign(nonce, body, clock::now().saturating_add_millis(5_000)).unwrap();
    assert_ne!(first.bytes(), later.bytes());
    assert_eq!(first.id(), later.id());
    assert!(!client.submit(&first, Wait::Committed).unwrap().duplicate);
    let receipt = client.submit(&later, Wait::Committed).unwrap();
    assert!(receipt.duplicate && receipt.status == RecordStatus::Committed);
    assert_eq!(node.entries().len(), 1);
}

#[test]
fn records_go_to_the_next_node_when_one_is_away() {
    let node = Node::new(&["org1"]);
    let stale = Node::of(node.genesis());
    stale.faults(Faults { is_stale: true, ..Faults::default() });
    let client = Client::new(["http://127.0.0.1:9", stale.url(), node.url()]).unwrap();
    let author = author(&client);
    let settled = Appender::new(&client, &author).append(signed(&author, [said(1), said(2), said(1)])).unwrap();
    assert!(matches!(settled[..], [Settled::Appended { .. }, Settled::Appended { .. }, _]), "{settled:?}");
    assert_eq!(node.entries().len(), 2);
}

#[test]
fn an_appender_gives_up_only_when_nothing_goes_forward() {
    let node = Node::new(&["org1"]);
    let client = client(&[&node]);
    let author = author(&client);
    node.faults(Faults { is_overloaded: usize::MAX, ..Faults::default() });
    let mut appender = Appender::new(&client, &author).with_patience(Duration::from_millis(200));
    match appender.append(signed(&author, [said(1), said(2)])) {
        Err(AppendError::Stalled { open: 2, last: Some(ClientError::Problem { problem, .. }), .. }) => {
            assert_eq!(problem.code, "overloaded");
        }
        other => panic!("{other:?}"),
    }
    node.faults(Faults { dies_after: Some(1), ..Faults::default() });
    assert!(matches!(appender.append(signed(&author, [said(1), said(2)])), Err(AppendError::Stalled { .. })));
    assert_eq!(node.entries().len(), 1);
    node.faults(Faults::default());
    let settled = Appender::new(&client, &author).append(signed(&author, [said(1), said(2)])).unwrap();
    assert!(matches!(settled[..], [Settled::Duplicate { .. }, Settled::Appended { .. }]), "{settled:?}");
}

#[test]
fn a_lie_in_a_batch_is_noticed() {
    let node = Node::new(&["org1"]);
    let client = client(&[&node]);
    let author = author(&client);
    node.faults(Faults { lies: true, ..Faults::default() });
    let error = Appender::new(&client, &author).append(signed(&author, [said(1), said(2)])).unwrap_err();
    assert!(matches!(error, AppendError::Client(ClientError::Proof { .. })), "{error}");
}

#[test]
fn a_log_is_proved_to_have_only_grown() {
    let node = Node::new(&["org1"]);
    let client = client(&[&node]);
    let author = author(&client);
    let mut appender = Appender::new(&client, &author);
    let view = || {
        let status = client.status().unwrap();
        View { size: status.log_size, root: digest_from_base64(&status.log_root).unwrap() }
    };
    appender.append(signed(&author, [said(1)])).unwrap();
    let earlier = view();
    appender.append(signed(&author, [said(2), said(3)])).unwrap();
    client.check_growth(earlier, view()).unwrap();
    let forged = View { root: writ_proto::hash::Digest([7; 32]), ..earlier };
    assert!(matches!(client.check_growth(forged, view()), Err(ClientError::Proof { .. })));
}

#[test]
fn a_listing_goes_over_all_pages() {
    let node = Node::new(&["org1"]);
    let client = client(&[&node]);
    let author = author(&client);
    let all: Vec<_> = (0..25).map(said).collect();
    Appender::new(&client, &author).append(signed(&author, all)).unwrap();
    for page in [1, 7, 25, 100] {
        let filter = Filter { page: Some(page), ..Filter::default() };
        let entries: Vec<_> = client.entries(filter).map(Result::unwrap).collect();
        assert_eq!(entries.len(), 25, "{page}");
        assert!(entries.is_sorted_by_key(|entry| entry.index));
    }
    let filter = Filter { sub: Some("u7".into()), ..Filter::default() };
    assert_eq!(client.entries(filter).count(), 1);
}

#[test]
fn a_question_is_answered() {
    let node = Node::new(&["org1"]);
    let client = client(&[&node]);
    let author = author(&client);
    let nonce = random_nonce().unwrap();
    client.submit(&author.sign(nonce, said(1).1, clock::now()).unwrap(), Wait::Committed).unwrap();
    let question = Question { sub: "u1".into(), obj: "file:x".into(), ..Question::default() };
    assert_eq!(client.check(&question).unwrap().why, "grant");
    let error = client.check(&Question { sub: "*".into(), ..question }).unwrap_err();
    assert_eq!(error.code(), Some("bad_request"));
}

/// Both ways to look: all entries of an authority while there are few, and key by key in a long log.
#[test]
fn what_stands_on_a_key_is_found_and_nothing_else() {
    let node = Node::new(&["org1", "org2"]);
    let client = client(&[&node]);
    let org1 = author(&client);
    let org2 = Author::find(&client, key(2), None, None).unwrap();
    let entry = |n: u8, access: &str, act: Option<&str>, exp: Option<&str>| {
        let tuple = Tuple {
            sub: "zoë".into(),
            obj: "file:*".into(),
            act: act.map(Into::into),
            access: Some(access.into()),
            exp: exp.map(Into::into),
            ..Tuple::default()
        };
        (Nonce([n; 16]), Body::Access(tuple.to_access().unwrap()))
    };
    let ended = entry(5, "granted", None, Some("2020-01-01T00:00:00Z"));
    let mine = [
        entry(1, "granted", None, None),
        entry(2, "denied", None, Some("9999-01-01T00:00:00Z")),
        entry(3, "granted", Some("read"), None),
        entry(4, "granted", None, None),
        ended,
    ];
    let ids: Vec<RecordId> =
        mine.iter().map(|(nonce, body)| org1.statement(*nonce, body.clone(), clock::now()).id().unwrap()).collect();
    Appender::new(&client, &org1).append(signed(&org1, mine.clone())).unwrap();
    Appender::new(&client, &org2).append(signed(&org2, [entry(6, "granted", None, None)])).unwrap();
    let revoke = Revoke { target: ids[3], effect: Effect::Grant };
    Appender::new(&client, &org1).append(signed(&org1, [(Nonce([7; 16]), Body::Revoke(revoke))])).unwrap();

    let Body::Access(access) = &mine[0].1 else { unreachable!("it is an entry") };
    let keys = BTreeSet::from([Key::from(access)]);
    let target = |at: usize, effect| Target { id: ids[at], effect };
    // The denial reduces access, so it stands first in their block.
    let want = BTreeMap::from([(Key::from(access), vec![target(1, Effect::Deny), target(0, Effect::Grant)])]);
    assert_eq!(Appender::new(&client, &org1).live(&keys, clock::now()).unwrap(), want, "in a short log");

    let many: Vec<_> = (0..1100_u16)
        .map(|n| {
            let mut nonce = [0xff; 16];
            nonce[..2].copy_from_slice(&n.to_le_bytes());
            (Nonce(nonce), said(9).1)
        })
        .map(|(nonce, body)| match body {
            // Each on a key of its own: a chain bounds the live grants on one.
            Body::Access(access) => (nonce, Body::Access(on_object(access, nonce.0[0], nonce.0[1]))),
            other => (nonce, other),
        })
        .collect();
    Appender::new(&client, &org1).append(signed(&org1, many)).unwrap();
    assert!(node.log_size() > 1000);
    assert_eq!(Appender::new(&client, &org1).live(&keys, clock::now()).unwrap(), want, "in a long log");
}

fn on_object(access: Access, high: u8, low: u8) -> Access {
    let obj = Pattern::parse(&format!("file:{high}/{low}"), Side::Object).unwrap();
    Access { obj, ..access }
}
