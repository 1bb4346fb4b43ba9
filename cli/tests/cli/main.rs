//! The `shmq` command, end to end: against live queues whose users are other processes.

#[path = "../../../tests/support/mod.rs"]
mod support;

mod command;
mod declaring;
mod diagnosing;
mod directory;
mod ending;
mod outputs;
mod peers;
mod reading;
mod schema;
mod streams;
mod terminal;
mod topics;
mod upkeep;
mod usage;
