//! A validator that lies, for tests: behind the feature `byzantine`, which no program that is shipped turns on.
//!
//! A liar is the whole honest node. When it starts its engine, [`told`] puts three things in the place of three others:
//!
//! ```text
//!   the sign guard  -->  a signer that signs anything         reckless.rs
//!   the chain       -->  one that twists what it proposes     twisted.rs; into what: twist.rs, with fitting hashes: seal.rs
//!   the engine      -->  one behind a mask                    writ_engine::Misbehaviour; guesses of blocks to come: early.rs
//! ```
//!
//! The program is `node/examples/liar.rs`, the test `tests/it/byzantine.rs`.

mod early;
mod reckless;
mod seal;
mod twist;
mod twisted;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use writ_engine::{Act, Misbehaviour, VoteSigner};

use crate::chain::Chain;
use crate::consensus::Setup;
use crate::guard::key_file;
use crate::home::Home;
use reckless::Reckless;
pub use twist::Twist;
use twisted::Twisted;

/// Where a liar is told which lie to tell.
pub const ASKED_BY: &str = "WRIT_LIE";

/// What a liar does, whenever it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Votes for two values, one of which nobody has.
    VotesTwice,
    /// Proposes two values, one of which nobody has.
    ProposesTwice,
    /// Proposes two blocks, both of which are good.
    ProposesTwins,
    /// Proposes blocks for heights to come, on parents that it cannot know.
    ProposesEarly,
    /// Keeps the bytes of its blocks to itself.
    WithholdsParts,
    /// Sends other bytes than it announced.
    GarbageParts,
    /// Sends more bytes than a block may have.
    OversizedParts,
    /// Cosigns another root beside that of its log.
    OtherRoot,
    /// Proposes blocks that are not good.
    Twisted(Twist),
}

/// Every lie, by the word for it.
pub const LIES: [(&str, Lie); 14] = [
    ("votes-twice", Lie::VotesTwice),
    ("proposes-twice", Lie::ProposesTwice),
    ("proposes-twins", Lie::ProposesTwins),
    ("proposes-early", Lie::ProposesEarly),
    ("withholds-parts", Lie::WithholdsParts),
    ("garbage-parts", Lie::GarbageParts),
    ("oversized-parts", Lie::OversizedParts),
    ("other-root", Lie::OtherRoot),
    ("wrong-result", Lie::Twisted(Twist::Result)),
    ("wrong-time", Lie::Twisted(Twist::Time)),
    ("wrong-name", Lie::Twisted(Twist::Name)),
    ("forged-record", Lie::Twisted(Twist::Forged)),
    ("tampered-record", Lie::Twisted(Twist::Tampered)),
    ("repeated-record", Lie::Twisted(Twist::Repeated)),
];

impl Lie {
    /// The lie that the surroundings ask for.
    ///
    /// # Errors
    /// If they ask for none, or for one that is not known.
    pub fn asked() -> anyhow::Result<Self> {
        let words = LIES.map(|(word, _)| word).join(", ");
        let asked = std::env::var(ASKED_BY).with_context(|| format!("{ASKED_BY} says which lie: {words}"))?;
        let found = LIES.iter().find(|(word, _)| *word == asked);
        found.map(|(_, lie)| *lie).with_context(|| format!("{ASKED_BY} is `{asked}`, expected one of: {words}"))
    }

    /// What the mask before the engine does about it.
    fn acts(self, setup: &Setup) -> Vec<Act> {
        match self {
            Self::VotesTwice => vec![Act::VoteTwice],
            Self::ProposesTwice => vec![Act::ProposeTwice],
            Self::ProposesTwins => vec![Act::ProposeTwins(Arc::new(twist::twin))],
            Self::ProposesEarly => vec![Act::ProposeEarly(early::guess(setup.ledger.clone(), setup.me))],
            Self::WithholdsParts => vec![Act::WithholdParts],
            Self::GarbageParts => vec![Act::GarbageParts],
            Self::OversizedParts => vec![Act::OversizedParts],
            Self::OtherRoot | Self::Twisted(_) => Vec::new(),
        }
    }
}

/// What a liar runs its engine with: the one hook of this module, where [`crate::consensus`] starts an engine. A liar
/// that follows only, without a `signer`, is honest.
pub(crate) fn told(
    setup: &Setup,
    config: writ_engine::Config,
    chain: Chain,
    signer: Option<Arc<dyn VoteSigner>>,
) -> (writ_engine::Config, Twisted, Option<Arc<dyn VoteSigner>>) {
    let lie = signer.is_some().then(|| Lie::asked().expect("a liar is told its lie"));
    let home = Home::at(&config.home);
    let key = |path: PathBuf| key_file::read(&path).expect("a validator has its keys");
    let misbehaviour = lie.map(|lie| Misbehaviour::new(lie.acts(setup)));
    let config = writ_engine::Config { misbehaviour, ..config };
    let signer = signer.map(|_| {
        let reckless = Reckless::new(*setup.ledger.read().chain(), key(home.vote_key()));
        Arc::new(reckless) as Arc<dyn VoteSigner>
    });
    let twisted = Twisted::new(chain, setup, lie, key(home.checkpoint_key()));
    (config, twisted, signer)
}
