//! Guards of messages in place: a [`Loan`] is being written, a [`Lease`] is being read, a [`View`]
//! is read on after its message is done.
//!
//! ```text
//!   Loan:   open --commit--> message
//!             \--drop--> skipped
//!   Lease:  open --drop, release--> done
//!             \--give_back, drop in a panic--> delivered again
//!   AckLease:  open --ack--> done
//!             \--drop, give_back--> delivered again
//!   Lease, AckLease:  open --into_view--> done, and a View --drop of its last clone--> room free
//! ```
//!
//! Invariants:
//! 1. A guard is finished once: what finishes it consumes it, and drops nothing of it.
//! 2. Until then `message` points to the payload of a record that this process owns (queue,
//!    Invariant 4), with the length of the record, aligned as its type (segment header, geometry).
//! 3. A guard whose incarnation is not this process's was inherited across a fork: it belongs to
//!    the parent. It is never dereferenced and its drop touches nothing.
//! 4. The `raw` of a guard leads to a queue that the guard borrows, or keeps alive itself and
//!    longer than the record that it holds.
//! 5. An owned guard needs no handle: its end is one atomic change of its record, with no side
//!    entered, so it may come after its endpoint has given up the side and others have it. It
//!    counts for no role. The last one to go leaves the queue.

mod ack_lease;
mod lease;
mod lease_mut;
mod leased;
mod loan;
mod view;

pub use ack_lease::AckLease;
pub use lease::Lease;
pub use lease_mut::LeaseMut;
#[cfg(feature = "object")]
pub(crate) use leased::{BackOnDrop, DoneOnDrop};
pub(crate) use leased::{Leased, OnDrop};
pub use loan::Loan;
pub use view::View;
