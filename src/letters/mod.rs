//! Dead letters: messages that were given up, and the queue for them.
//!
//! A queue that was created with [`QueueBuilder::dead_letters`](crate::QueueBuilder::dead_letters) puts there
//! what was delivered too often or is no value of its type. An operator or a program opens it
//! as [`DeadLetters`] and decides: inspect, repair and put again, or drop.
//!
//! How a letter is written is in `shm/letter.rs`.

mod letter;
mod queue;

pub use crate::shm::letter::Reason;
pub use letter::DeadLetter;
pub use queue::{DeadLetters, LetterLease};
