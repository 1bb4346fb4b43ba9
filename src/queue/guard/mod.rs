//! Guards of messages in place: a [`Loan`] is being written, a [`Lease`] is being read.
//!
//! ```text
//!   Loan:   open --commit--> message
//!             \--drop--> skipped
//!   Lease:  open --drop, release--> done
//!             \--give_back, drop in a panic--> delivered again
//!   AckLease:  open --ack--> done
//!             \--drop, give_back--> delivered again
//! ```
//!
//! Invariants:
//! 1. A guard is finished once: what finishes it consumes it, and drops nothing of it.
//! 2. Until then `message` points to the payload of a record that this process owns (queue,
//!    Invariant 4), with the length of the record, aligned as its type (segment header, geometry).
//! 3. A guard whose incarnation is not this process's was inherited across a fork: it belongs to
//!    the parent. It is never dereferenced and its drop touches nothing.
//! 4. The `raw` of a lease leads to a queue that the lease borrows, or keeps alive itself and
//!    longer than the record that it holds.

mod ack_lease;
mod lease;
mod lease_mut;
mod leased;
mod loan;

pub use ack_lease::AckLease;
pub use lease::Lease;
pub use lease_mut::LeaseMut;
#[cfg(feature = "object")]
pub(crate) use leased::{BackOnDrop, DoneOnDrop};
pub(crate) use leased::{Leased, OnDrop};
pub use loan::Loan;
