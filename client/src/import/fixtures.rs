//! Who imports in tests, and when.

use writ_proto::genesis::{Genesis, PROTOCOL, Parameters};
use writ_proto::key::SecretKey;
use writ_proto::time::LedgerTime;

use crate::author::Author;

/// An authority of a chain under the protocol that new chains begin with.
pub(super) fn author() -> Author {
    let genesis = Genesis {
        protocol: PROTOCOL,
        chain: "test".into(),
        time: LedgerTime::EPOCH,
        parameters: Parameters::default(),
        authorities: Vec::new(),
        root_quorum: 1,
        validators: Vec::new(),
    };
    Author::new(&genesis, "org1".parse().unwrap(), SecretKey::from_seed(&[1; 32]))
}

/// So many hours after some instant.
pub(super) fn at(hour: u64) -> LedgerTime {
    LedgerTime::from_millis(1_800_000_000_000 + hour * 3_600_000).unwrap()
}
