//! What one party does before the others are let go.

use super::{Barrier, BarrierWaitResult};
use crate::sync::SyncError;
use crate::wait::blocking_forms;
use std::ops::ControlFlow;

impl Barrier {
    blocking_forms! {
        /// As [`wait`](Self::wait), where the last party to arrive runs `action` before any party
        /// is let go: Python's `Barrier(parties, action)`. All parties give an action, and one of
        /// them is run.
        ///
        /// **The barrier breaks** if the action returns [`ControlFlow::Break`], if it panics (the
        /// panic goes on in its caller), if its process dies in it (within 0.1 s or so), and if
        /// another party times out or dies meanwhile: then the action has been run for nothing.
        ///
        /// The action runs under the barrier's lock: it must not use the barrier, except for
        /// [`abort`](Self::abort), and no other party can arrive, or [`reset`](Self::reset) it,
        /// until it returns.
        ///
        /// # Errors
        /// As [`wait`](Self::wait); [`SyncError::Broken`] to the caller whose action returned
        /// `Break` too.
        ///
        /// ```
        /// use shmq::sync::{Barrier, SyncError};
        /// use std::ops::ControlFlow;
        ///
        /// let barrier = Barrier::new(1)?;
        /// let mut sum = 0;
        /// barrier.wait_with(|| {
        ///     sum += 1;
        ///     ControlFlow::Continue(())
        /// })?;
        /// assert_eq!(sum, 1);
        ///
        /// let waited = barrier.wait_with(|| ControlFlow::Break(()));
        /// assert!(matches!(waited, Err(SyncError::Broken)) && barrier.is_broken());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        wait_with, wait_with_timeout, wait_with_deadline,
        for [A: FnOnce() -> ControlFlow<()>]
        |self, wait, action: A| -> Result<BarrierWaitResult, SyncError> { self.wait_by(wait, Some(action)) }
    }
}
