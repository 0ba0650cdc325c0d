//! What every command needs: the nodes, the key, the clock, and whether to write for people.

use std::path::Path;

use writ_client::author::{Author, check_genesis};
use writ_client::client::{Client, Options};
use writ_client::clock;
use writ_client::keys::{KeyFile, Passphrase};
use writ_client::token::Tokens;
use writ_client::when;
use writ_proto::genesis::Genesis;
use writ_proto::key::SecretKey;
use writ_proto::record::AuthorityName;
use writ_proto::time::LedgerTime;

use crate::args::{Common, DEFAULT_NODE};
use crate::exit::{Failure, say};
use crate::output::Style;

/// What every command needs.
#[derive(Debug)]
pub(crate) struct Context {
    common: Common,
    now: LedgerTime,
    out: Style,
    err: Style,
}

impl Context {
    /// What `common` says, now.
    pub(crate) fn new(common: Common) -> Self {
        Self { common, now: clock::now(), out: Style::of_stdout(), err: Style::of_stderr() }
    }

    /// When the command began.
    pub(crate) fn now(&self) -> LedgerTime {
        self.now
    }

    /// Whether to answer in JSON.
    pub(crate) fn json(&self) -> bool {
        self.common.json
    }

    /// How to write data for people.
    pub(crate) fn out(&self) -> Style {
        self.out
    }

    /// How to talk.
    pub(crate) fn err(&self) -> Style {
        self.err
    }

    /// Talks, unless a program is listening.
    pub(crate) fn say(&self, word: &str, text: &str) {
        if !self.json() {
            say(self.err, word, text);
        }
    }

    /// The authority that was named.
    pub(crate) fn authority(&self) -> Option<&AuthorityName> {
        self.common.authority.as_ref()
    }

    /// The nodes.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let nodes = self.common.nodes.iter().filter(|node| !node.is_empty()).map(String::as_str);
        let nodes: Vec<&str> = nodes.collect();
        let mut options = Options::default();
        if let Some(path) = &self.common.token_file {
            options.tokens = Tokens::read(path)?;
            if Tokens::is_exposed(path)? {
                self.warn_exposed(path);
            }
        }
        Ok(Client::with(if nodes.is_empty() { &[DEFAULT_NODE] } else { nodes.as_slice() }, &options)?)
    }

    fn warn_exposed(&self, path: &Path) {
        let path = path.display();
        self.say("warning:", &format!("others than you may read `{path}`: run `chmod 600 {path}`"));
    }

    /// The genesis that the nodes tell, of the chain that was named.
    pub(crate) fn genesis(&self, client: &Client) -> Result<Genesis, Failure> {
        let genesis = client.genesis()?;
        check_genesis(&genesis, self.common.chain.as_ref())?;
        Ok(genesis)
    }

    /// The chain id that was named.
    pub(crate) fn chain(&self) -> Option<&writ_proto::hash::Digest> {
        self.common.chain.as_ref()
    }

    /// Who speaks, with one key.
    pub(crate) fn author(&self, client: &Client) -> Result<Author, Failure> {
        let mut keys = self.keys()?.into_iter();
        match (keys.next(), keys.next()) {
            (Some(key), None) => Ok(Author::find(client, key, self.authority(), self.chain())?),
            (None, _) => Err(no_key()),
            (Some(_), Some(_)) => Err(Failure::misused("an import is signed with one key, and several are named")),
        }
    }

    /// The keys to sign with, in the order in which they were named.
    pub(crate) fn keys(&self) -> Result<Vec<SecretKey>, Failure> {
        self.common.keys.iter().map(|path| self.open(path)).collect()
    }

    fn open(&self, path: &Path) -> Result<SecretKey, Failure> {
        let file = KeyFile::read(path)?;
        if file.is_exposed() {
            self.warn_exposed(path);
        }
        let passphrase = if file.is_sealed() { self.passphrase()? } else { None };
        Ok(file.open(passphrase.as_ref())?)
    }

    /// The passphrase, if a file with it is named.
    pub(crate) fn passphrase(&self) -> Result<Option<Passphrase>, Failure> {
        Ok(self.common.passphrase_file.as_deref().map(Passphrase::read).transpose()?)
    }

    /// The instant that was typed for an option.
    pub(crate) fn time(&self, option: &str, text: &str) -> Result<LedgerTime, Failure> {
        when::parse_at(text, self.now)
            .map_err(|error| Failure::of_option(option, error).hint("`writ --help` tells how times are written"))
    }
}

/// Nothing can be signed.
pub(crate) fn no_key() -> Failure {
    Failure::misused("no key to sign with")
        .hint("`--key FILE` or WRIT_KEY names one, `writ key new --out FILE` makes one")
}
