//! The engine's write-ahead log as the engine reads it after a crash: without its own votes.
//!
//! Replaying its log the engine derives each of its votes again, and stands still for good where the log holds another.
//! That happens where the signer gave the vote that it had signed before in the place of the one that was asked for
//! ([`crate::signing`]): it is in the log, and the engine derives what it would have said. So the engine is asked to derive all
//! of its votes, and is given each again as it was ([`Guarded::recall`]).
//!
//! [`Replay`] stands between consensus and the log, and hands everything else on as it is, in order.

use std::io;

use malachitebft_app_channel::app::consensus::Input;
use malachitebft_app_channel::app::engine::wal::{Msg, WalRef};
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::context::{Address, Ctx};
use crate::signing::Guarded;

pub(crate) struct Replay {
    pub(crate) log: WalRef<Ctx>,
    pub(crate) me: Address,
    pub(crate) signer: Guarded,
}

impl Replay {
    /// Whether the engine is to read an entry. An own vote is kept for when it is asked for.
    fn is_needed(&self, entry: &io::Result<Input<Ctx>>) -> bool {
        match entry {
            Ok(Input::Vote(vote)) if vote.message.voter == self.me => {
                self.signer.recall(vote);
                false
            }
            _ => true,
        }
    }
}

#[ractor::async_trait]
impl Actor for Replay {
    type Msg = Msg<Ctx>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Self::Msg>, message: Self::Msg, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::StartedHeight(height, reply) => {
                let entries = ractor::call!(self.log, Msg::StartedHeight, height)?;
                reply.send(entries.map(|mut entries| {
                    entries.retain(|entry| self.is_needed(entry));
                    entries
                }))?;
            }
            other => self.log.cast(other)?,
        }
        Ok(())
    }
}
