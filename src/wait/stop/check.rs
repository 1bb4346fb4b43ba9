//! The check of a [`Stop`](super::Stop): code of the program that a waiting call runs in between.
//!
//! ```text
//!   sleep --woken, EINTR, slice over--> try --nothing--> [EINTR or slice over] ask the check
//!     ^                                                       | Continue: try    | Break, a child
//!     +-------------------------------------------------------+                  +--> Interrupted
//! ```
//!
//! Invariants (modelled in `check_model.rs`):
//! 1. A check runs while its call holds nothing that another call could need: no side, no lock, no
//!    registration with a condition variable, no process-local state. (The place of a wait at a
//!    `sync::Condvar` stays: a notice to it is used after the check, or handed on.)
//! 2. Between a sleep and the check the call has tried. So a wake that it had was used, or was for
//!    nothing; where the try could not be made (its lock was held), the call passes the wake on when
//!    it ends by the check, also when that panics ([`OnUnwind`]).
//! 3. After a check that goes on the call tries before it reports its deadline.
//! 4. A child that the check forked has none of its parent's state (its id, its ticket, its place in
//!    a barrier): there the call ends, and undoes nothing that is the parent's.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::{RefUnwindSafe, UnwindSafe};

type Ask = dyn Fn() -> ControlFlow<()> + Send + Sync;

pub(super) struct Check(pub Box<Ask>);

// No state of this crate is half changed when a check panics (Invariant 1). What the closure captures
// is the program's, which sees the panic: it is raised in the call that waits.
impl UnwindSafe for Check {}
impl RefUnwindSafe for Check {}

impl fmt::Debug for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Check")
    }
}

/// What a check answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There is none: no code was run.
    NoCheck,
    /// The call goes on.
    GoOn,
    /// The call ends with `Interrupted`.
    End,
}

/// Does what is left to do if the check of a call panics. Forgotten where the call returns.
pub(crate) struct OnUnwind<F: FnMut()>(F);

impl<F: FnMut()> OnUnwind<F> {
    pub fn new(act: F) -> Self {
        OnUnwind(act)
    }

    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl<F: FnMut()> Drop for OnUnwind<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
