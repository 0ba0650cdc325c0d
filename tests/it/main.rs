//! The system, from outside: the programs `writ-node` and `writ` do what their documentation says, also when they are
//! killed, lied to, or handed garbage.

mod authzen;
mod byzantine;
mod changes;
mod checkpoints;
mod decisions;
mod entries;
mod faults;
mod garbage;
mod harness;
mod history;
mod hostile;
mod imports;
mod kill;
mod lifecycle;
mod members;
#[allow(dead_code, reason = "shared with the tests of `proto`, which use all of it")]
#[path = "../../proto/tests/it/naive.rs"]
mod naive;
mod operate;
mod outside;
mod powercut;
mod rot;
mod searches;
mod seed_tuple;
mod sets;
mod story;
mod tamper;
mod twins;
mod upgrade;
mod verifier;
mod watch;
