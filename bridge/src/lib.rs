//! A bridge between queues of the crate `shmq` and NATS JetStream, which loses no message.
//!
//! ```text
//!   machine A: producers -> Queue "jobs" -> shmq-bridge out ==> JetStream stream
//!   machine B: workers   <- Queue "jobs" <- shmq-bridge in  <==    "     "
//! ```
//!
//! | module | subject |
//! |---|---|
//! | [`settings`] | what the command line and the file of settings say |
//! | [`failure`] | every error in words, and its exit code |
//! | [`server`] | the connection; streams, what they must be, and whose they are |
//! | [`journal`] | what a bridge must know after its death, in a segment beside the queue |
//! | [`headers`] | what a message carries besides its bytes |
//! | [`out`] | from a queue to a stream |
//! | [`inward`] | from a stream to a queue |
//! | [`queue`] | opening what is bridged |
//! | [`mirror`] | topics |
//! | [`metrics`] | counters, and the port that shows them |
//! | [`stop`] | how a direction is asked to end |

pub mod failure;
pub mod headers;
pub mod inward;
pub mod journal;
pub mod metrics;
pub mod mirror;
pub mod out;
pub mod queue;
mod run;
pub mod server;
pub mod settings;
pub mod stop;

pub use failure::Failure;
pub use run::run;
