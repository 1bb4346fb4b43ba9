//! Segments: made, opened, replaced and unlinked so that no process ever sees a half-made one, and
//! no name outlives its last user.
//!
//! ```text
//!   temporary --publish--> ALIVE --unlink(), or the last participant detaches--> UNLINKED
//!   (BUILDING)               |                                (attached processes go on)
//!                            '-----all dead, and a creator renames over it-----> DEAD
//!                                  (`create`; `open_or_create` if it has ended: see `ended`)
//!
//!   locks on the file (OFD: the kernel drops them with their holder)
//!   [ head | liveness 0 . liveness 1 . ... liveness n | name byte | cells ]
//!     ^      ^ one for each participant                 ^ the process that changes the name
//!     '- byte 0, read lock: every process that keeps the name; write lock: the one that removes it
//!   [ the whole file ....................................... )
//!     ^ the process that judges it dead: conflicts with all of the above
//! ```
//!
//! | to find out | read |
//! |---|---|
//! | how a segment is made and published | `create`, `building`, `space`, `mapping` |
//! | how a process attaches | `open`, `open_or_create`, `enter` |
//! | how it detaches, and when the name goes | `detach`, `deferred`, `unlink` |
//! | when a segment is dead, and what replaces it | `claim`, `ended`, `predecessor` |
//! | what a killed process leaves, and how that is removed | `stale` |
//! | files of objects that are larger than the ring | `spilled`, `spill_mapping` |
//! | which locks there are | `locks`; descriptors and forks: `descriptors`, `pending_fork` |
//! | why a call was refused | `refusal`, `syscall_error`, `owners`, `directory` |
//!
//! Invariants:
//! 1. The name of a segment leads only to files that are complete and marked ALIVE, or were so when
//!    the name last changed.
//! 2. A process that changes what a name leads to holds the name byte (as part of the whole file,
//!    unless the segment is in use) and has checked, after locking, that the name still leads to
//!    the file it locked. Only then does it write the state.
//! 3. The name changes first, the state after it: a process killed in between leaves a segment
//!    without a name, which those attached go on using, and never a name that leads to a segment
//!    that no process may enter.
//! 4. The whole file is locked through a description that holds no liveness lock: a lock never
//!    conflicts with others of its own description. All that participants know of each other are
//!    write locks: a process that may only read the file can have read locks.
//! 5. An opener does everything that can fail before it takes a liveness lock. From then on it
//!    either attaches, or finds that the name leads elsewhere: a failed open is never the reason
//!    why the last participant leaves a name behind.
//! 6. The mapping begins with a complete [`Head`](crate::shm::layout::Head), the table of
//!    `max_participants` entries and the cells of `geometry`, all inside its length: zeroed memory,
//!    or integers of any value. Checked before the first [`Segment`] exists.

mod attached;
mod building;
mod claim;
mod create;
mod deferred;
mod descriptors;
mod detach;
mod directory;
mod ended;
mod enter;
mod expect;
mod file_id;
mod header;
mod list;
mod locks;
mod mapping;
mod names;
mod open;
mod open_or_create;
mod options;
mod owners;
mod pending_fork;
mod predecessor;
mod refusal;
mod retry;
mod space;
mod spec;
mod spill_mapping;
mod spilled;
mod stale;
mod structure;
mod syscall_error;
#[cfg(test)]
mod tests;
mod topic_area;
mod unlink;
mod view;

pub(crate) use attached::Segment;
pub(crate) use deferred::{Due, retry_deferred};
pub(crate) use descriptors::descriptor_numbers;
#[cfg(feature = "object")]
pub(crate) use descriptors::keep_no_names;
pub(crate) use directory::Directory;
pub(crate) use expect::Expect;
pub(crate) use list::{nameless, names_in_use};
pub(crate) use names::fault;
pub(crate) use open::AttachError;
pub use options::UnappliedOption;
pub(crate) use options::{Asked, checked_mode};
pub use owners::Owners;
pub use predecessor::{Predecessor, WhyReplaced};
pub(crate) use spec::Spec;
pub(crate) use spill_mapping::SpillMapping;
pub(crate) use spilled::{Remains, SpillError, file_bytes, object_bytes, remains_in, remove_remains};
pub use stale::Removal;
pub(crate) use stale::remove_stale;
pub(crate) use structure::Wanted;
pub(crate) use topic_area::{TopicArea, TopicShape};
pub(crate) use view::View;
