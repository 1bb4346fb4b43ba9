//! A stop as tasks wait for it: a task whose handle has one waits in two rooms.

use super::room::{Aspect, Awaited};
use super::{Available, Subject, Want};
use crate::lock::KeptCondvar;
use crate::wait::Stop;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::fence;

impl Awaited for Stop {
    fn condvar(&self, _: Aspect) -> Option<KeptCondvar> {
        #[cfg(not(shmq_portable_sync))]
        // SAFETY: the keeper owns the words.
        return self.condvar().map(|condvar| unsafe { KeptCondvar::kept_by(condvar, self.keeper()) });
        #[cfg(shmq_portable_sync)]
        None
    }

    fn heavy_barrier(&self) -> bool {
        // `Stop::set` executes a full fence.
        fence(SeqCst);
        true
    }

    fn available(&self, _: Aspect) -> Available {
        if self.is_set() { Available::ALL } else { Available::NOTHING }
    }

    fn probe(&self, _: Aspect) {}

    fn pass_on(&self, _: Aspect) {
        // All waiters are woken.
    }
}

/// Calls `act` with the subject that a stop is.
pub(super) fn with_subject<R>(stop: &Stop, act: impl FnOnce(&Subject<'_>) -> R) -> Option<R> {
    let address = stop.condvar()?.address();
    let share = || Arc::new(stop.clone()) as Arc<dyn Awaited>;
    Some(act(&Subject { address, aspect: Aspect::Stopped, want: &Cell::new(Want::ONE), spins: 0, share: &share, stop: None }))
}
