//! The meaning of an access ledger, checked from outside: only the public interface is used.

mod accounts;
mod budgets;
mod chain;
mod conditions;
mod differential;
mod history;
mod laws;
mod ledgers;
mod naive;
mod search;
mod story;
mod tables;
mod watch;
