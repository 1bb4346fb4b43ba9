//! `RLock`: owned by one thread of one process, which may acquire it again.

use super::{acquire, primitive};
use crate::arguments::truth;
use crate::errors;
use crate::handle::{self, Slot};
use crate::interrupt::{self, Until};
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use shmq::sync::{ReentrantLock as Inner, SyncError};

/// A lock between processes that the thread that has it may acquire again, and it alone releases.
///
/// If the process that holds it dies, the next to acquire it gets it, and owner_died says so.
#[pyclass(module = "shmq._shmq", subclass, frozen, weakref)]
#[derive(Default)]
pub struct RLock {
    slot: Slot<Inner>,
}

primitive!(RLock, Inner, "()");

#[pymethods]
impl RLock {
    fn __init__(&self) -> PyResult<()> {
        self.slot.set(Inner::new().map_err(errors::of_create)?.with_stop(interrupt::stop()))
    }

    /// acquire(block=True, timeout=None) -> bool
    ///
    /// Waits while another thread or process has it, for timeout seconds at most (None: for ever).
    /// False if it was not acquired. block=False: one try, whatever the timeout.
    #[pyo3(signature = (block=true, timeout=None))]
    pub fn acquire(&self, py: Python<'_>, #[pyo3(from_py_with = truth)] block: bool, timeout: Option<f64>) -> PyResult<bool> {
        let lock = self.inner()?;
        let wait = |until| match until {
            Until(None) => lock.acquire(),
            Until(Some(deadline)) => lock.acquire_deadline(deadline),
        };
        Ok(acquire(py, block, timeout, || lock.try_acquire(), wait)?.is_some())
    }

    /// release(): one level. AssertionError if another thread has it, or none.
    fn release(&self) -> PyResult<()> {
        self.inner()?.release().map_err(|error| match error {
            SyncError::NotLocked | SyncError::NotOwner { .. } => {
                PyAssertionError::new_err(format!("attempt to release recursive lock not owned by thread: {error}"))
            }
            error => errors::of_sync(error),
        })
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire(py, true, None)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release()
    }

    /// locked() -> bool: does a live process have it?
    fn locked(&self) -> PyResult<bool> {
        Ok(self.inner()?.locked())
    }

    /// Has a holder died, and no later one called mark_repaired()? What the lock guards may be half
    /// changed. To be asked while you hold the lock.
    #[getter]
    fn owner_died(&self) -> PyResult<bool> {
        Ok(self.inner()?.owner_died())
    }

    /// mark_repaired(): what the lock guards is in order again. To be called while you hold the lock.
    fn mark_repaired(&self) -> PyResult<()> {
        self.inner()?.mark_repaired();
        Ok(())
    }

    /// Does this thread have it?
    fn _is_mine(&self) -> PyResult<bool> {
        Ok(self.inner()?.is_mine())
    }

    /// Does a thread of this process have it?
    fn _is_of_this_process(&self) -> PyResult<bool> {
        Ok(self.inner()?.holder_pid() == Some(std::process::id()))
    }

    /// How many levels this thread has.
    pub fn _levels(&self) -> PyResult<u64> {
        let lock = self.inner()?;
        Ok(if lock.is_mine() { lock.levels() } else { 0 })
    }
}
