//! Dead letters: messages that were given up, and the queue for them.
//!
//! A queue that was created with [`QueueBuilder::dead_letters`](crate::QueueBuilder::dead_letters)
//! puts there what was delivered too often or is no value of its type. An operator or a program
//! opens it as [`DeadLetters`] and decides: inspect, repair and put again, or drop.
//!
//! ```
//! # let name = format!("doc-letters-{}", std::process::id());
//! use shmq::{DeadLetters, Queue};
//!
//! let letters = DeadLetters::create(&name, 1 << 16)?;
//! let jobs = Queue::<u64>::builder().capacity(8).max_deliveries(1);
//! let jobs = jobs.dead_letters(&name).create()?;
//! jobs.put(&7)?;
//! jobs.lease()?.give_back(); // a worker could not do it
//! jobs.recover();
//!
//! let letter = letters.lease()?;
//! let job: u64 = letter.value().expect("a job");
//! jobs.put(&job)?; // once more
//! letter.release();
//! # DeadLetters::unlink(&name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ack_lease;
mod letter;
mod queue;

pub use crate::shm::letter::Reason;
pub use ack_lease::LetterAckLease;
pub use letter::DeadLetter;
pub use queue::{DeadLetters, LetterLease};
