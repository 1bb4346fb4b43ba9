//! Messages in place: loans, which are written, and leases, which are read.
//!
//! Both keep the segment attached by themselves: the handles that they came from may be freed.

mod lease;
mod loan;

pub use lease::{give_lease, shmq_lease, shmq_message_id};
pub use loan::{AnyLoan, shmq_loan};
