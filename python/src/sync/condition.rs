//! `Condvar`: what a `Condition` waits on.

use super::primitive;
use super::{Lock, RLock};
use crate::errors;
use crate::handle::{self, Slot};
use crate::interrupt::{self, Until};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use shmq::sync::{Condvar as Inner, CondvarGuard, LockError, SyncError, WaitTimeoutResult};

/// What a Condition waits on, beside its lock.
#[pyclass(module = "shmq._shmq", subclass, frozen, weakref)]
#[derive(Default)]
pub struct Condvar {
    slot: Slot<Inner>,
}

primitive!(Condvar, Inner, "()");

/// Was there a notice? The lock is held again, unless the outcome is `Failed`.
fn wait_noticed<G: CondvarGuard>(condvar: &Inner, guard: G, until: Until) -> Result<bool, SyncError> {
    let outcome = match until {
        Until(None) => {
            condvar.wait_notified(guard).map(|guard| (guard, None)).map_err(|error| with_result(error, |guard| (guard, None)))
        }
        Until(Some(deadline)) => {
            let noticed = |(guard, result): (G, WaitTimeoutResult)| (guard, Some(result));
            condvar.wait_notified_deadline(guard, deadline).map(noticed).map_err(|error| with_result(error, noticed))
        }
    };
    match outcome {
        Ok((_guard, result)) | Err(LockError::OwnerDied((_guard, result))) => Ok(result.is_none_or(|result| !result.timed_out())),
        Err(LockError::Failed(error)) => Err(error),
        Err(_) => Err(SyncError::Poisoned),
    }
}

fn with_result<A, B>(error: LockError<A>, map: impl FnOnce(A) -> B) -> LockError<B> {
    match error {
        LockError::OwnerDied(guard) => LockError::OwnerDied(map(guard)),
        LockError::Failed(error) => LockError::Failed(error),
        _ => LockError::Failed(SyncError::Poisoned),
    }
}

#[pymethods]
impl Condvar {
    fn __init__(&self) -> PyResult<()> {
        self.slot.set(Inner::new().map_err(errors::of_create)?.with_stop(interrupt::stop()))
    }

    /// wait(lock, timeout): releases the lock, all of its levels, waits for a notice, and acquires them
    /// again. Was there a notice? The lock is held again whatever a signal handler raises.
    #[pyo3(signature = (lock, timeout=None))]
    fn wait(&self, py: Python<'_>, lock: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<bool> {
        let (condvar, until) = (self.inner()?, Until::after(timeout)?);
        if let Ok(lock) = lock.cast::<RLock>() {
            let (lock, levels) = (lock.get(), lock.get()._levels()?);
            let inner = lock.inner()?;
            let outcome = interrupt::wait(py, || wait_noticed(condvar, inner, until));
            return again(outcome, || (lock._levels()?..levels).try_for_each(|_| lock.acquire(py, true, None).map(drop)));
        }
        let Ok(lock) = lock.cast::<Lock>() else {
            return Err(PyTypeError::new_err("a Condition waits with a Lock or an RLock of this package"));
        };
        let lock = lock.get();
        let inner = lock.inner()?;
        let outcome = interrupt::wait(py, || wait_noticed(condvar, inner, until));
        again(outcome, || lock.acquire(py, true, None).map(drop))
    }

    /// notify(n) -> int: wakes n that wait, if there are so many.
    fn notify(&self, n: u64) -> PyResult<u32> {
        Ok(self.inner()?.notify(u32::try_from(n).unwrap_or(u32::MAX)))
    }

    /// waiting() -> int: threads that wait.
    fn waiting(&self) -> PyResult<usize> {
        Ok(self.inner()?.waiting())
    }
}

/// Acquires the lock again where the wait ended without it.
fn again(outcome: PyResult<Result<bool, SyncError>>, acquire: impl FnOnce() -> PyResult<()>) -> PyResult<bool> {
    match outcome {
        Ok(Ok(noticed)) => Ok(noticed),
        Ok(Err(error)) => {
            acquire()?;
            Err(errors::of_sync(error))
        }
        Err(raised) => {
            acquire()?;
            Err(raised)
        }
    }
}
