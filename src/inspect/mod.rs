//! Inspecting queues and topics from outside: which exist, what is in them, which processes use
//! them, what blocks them.
//!
//! An [`Inspector`] maps a segment read-only. It does not attach: it takes no participant entry and
//! no lock, so no process waits for it, and it keeps nothing alive. What it reads may be garbage or
//! change meanwhile; it is masked and range-checked and never decides anything. So the numbers in a
//! snapshot of a busy queue may be a moment apart.
//!
//! An [`Operator`] attaches to a queue or a topic of any type, to close, drain or recover it.
//! Inspecting works whichever user owns the segment, if its mode allows it; operating is refused on
//! segments that are neither this user's nor root's, unless [`Owners`] say otherwise.
//!
//! ```
//! # let name = format!("doc-inspect-{}", std::process::id());
//! let queue = shmq::Queue::<u64>::create(&name, 10)?;
//! queue.put(&1)?;
//! let lease = queue.lease()?;
//! queue.put(&2)?;
//!
//! let seen = shmq::inspect::Inspector::open(&name)?.snapshot();
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
mod process;
mod records;
mod snapshot;
mod topic;

/// For the command: a structure's text, read.
#[doc(hidden)]
pub use crate::message::schema::{ParsedField, ParsedType, ParsedVariant, parsed};
pub use crate::shm::segment::{Owners, Predecessor, Removal, WhyReplaced};
pub use about::{About, Kind};
pub use inspector::Inspector;
pub use list::{Found, Remains, list, nameless, remains, remove_remains};
pub use operator::{Operator, remove_stale, remove_stale_of, unlink_of};
pub use peek::Peeked;
pub use process::ProcessState;
pub use snapshot::{Glance, Hold, Holding, Participant, Snapshot, State, Waiting};
pub use topic::{Gate, TopicSnapshot};
