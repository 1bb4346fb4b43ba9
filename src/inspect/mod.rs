//! Looking at queues from outside: which there are, what is in them, who uses them, what stands in the way.
//!
//! An [`Inspector`] maps a segment read-only. It does not attach: it takes no participant entry and no lock, so that nobody waits for
//! it and nothing is kept alive by it. What it reads may be garbage or change under its eyes; it is masked and range-checked and never
//! decides anything, so a snapshot of a queue at work is a picture with a shutter time: numbers in it may be a moment apart.
//!
//! [`Operator`] is the opposite: it attaches to a queue of any type, to close, drain or recover it. What only looks does so whichever user
//! owns the segment, if its mode allows that; what acts refuses one that is neither this user's nor root's, unless its [`Owners`] say
//! otherwise.
//!
//! ```
//! # let name = format!("doc-inspect-{}", std::process::id());
//! let queue = shmq::Queue::<u64>::create(&name, 10)?;
//! queue.put(&1)?;
//! let lease = queue.lease()?;
//! queue.put(&2)?;
//!
//! let seen = shmq::inspect::Inspector::open(&name)?.look();
//! assert_eq!((seen.messages, seen.on_lease), (1, 1));
//! assert_eq!(seen.participants[0].pid, std::process::id());
//! assert!(shmq::inspect::list()?.iter().any(|found| found.name == name));
//! # drop(lease);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod about;
mod capture;
mod inspector;
mod list;
mod operator;
mod peek;
mod predecessor;
mod process;
mod records;
mod snapshot;

pub use crate::shm::segment::Owners;
pub use about::{About, Kind};
pub use inspector::Inspector;
pub use list::{Found, list, nameless};
pub use operator::{Operator, Removal, remove_stale, remove_stale_of, unlink_of};
pub use peek::Peeked;
pub use predecessor::{Predecessor, WhyReplaced};
pub use process::ProcessState;
pub use snapshot::{Glance, Hold, Holding, Participant, Snapshot, State, Waiting};
