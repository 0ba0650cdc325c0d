//! The library against nodes that stumble.

use std::time::Duration;

use writ_client::append::{AppendError, Appender};
use writ_client::author::{Author, random_nonce};
use writ_client::client::{Client, Filter, Question, Wait};
use writ_client::import::Ledger as _;
use writ_client::import::run::Settled;
use writ_client::verify::View;
use writ_client::{ClientError, clock};
use writ_proto::api::{RecordStatus, Tuple, digest_from_base64};
use writ_proto::record::{Body, Nonce};

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
    let settled = Appender::new(&client, &author).append(&[said(1), said(2), said(1)]).unwrap();
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
    match appender.append(&[said(1), said(2)]) {
        Err(AppendError::Stalled { open: 2, last: Some(ClientError::Problem { problem, .. }), .. }) => {
            assert_eq!(problem.code, "overloaded");
        }
        other => panic!("{other:?}"),
    }
    node.faults(Faults { dies_after: Some(1), ..Faults::default() });
    assert!(matches!(appender.append(&[said(1), said(2)]), Err(AppendError::Stalled { .. })));
    assert_eq!(node.entries().len(), 1);
    node.faults(Faults::default());
    let settled = Appender::new(&client, &author).append(&[said(1), said(2)]).unwrap();
    assert!(matches!(settled[..], [Settled::Duplicate { .. }, Settled::Appended { .. }]), "{settled:?}");
}

#[test]
fn a_lie_in_a_batch_is_noticed() {
    let node = Node::new(&["org1"]);
    let client = client(&[&node]);
    let author = author(&client);
    node.faults(Faults { lies: true, ..Faults::default() });
    let error = Appender::new(&client, &author).append(&[said(1), said(2)]).unwrap_err();
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
    appender.append(&[said(1)]).unwrap();
    let earlier = view();
    appender.append(&[said(2), said(3)]).unwrap();
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
    Appender::new(&client, &author).append(&all).unwrap();
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
