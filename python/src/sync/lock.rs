//! `Lock`: not recursive, and any thread of any process may release it.

use super::{Reported, acquire, primitive};
use crate::arguments::truth;
use crate::errors;
use crate::events;
use crate::handle::{self, Slot};
use crate::interrupt::{self, Until};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use shmq::sync::{Lock as Inner, SyncError};

/// A lock between processes. Any thread of any process may release it.
///
/// If the process that holds it dies, the next to acquire it gets it, and owner_died says so.
#[pyclass(module = "shmq._shmq", subclass, frozen, weakref)]
#[derive(Default)]
pub struct Lock {
    slot: Slot<Inner>,
    reported: Reported,
}

primitive!(Lock, Inner, "()");

#[pymethods]
impl Lock {
    fn __init__(&self) -> PyResult<()> {
        self.slot.set(Inner::new().map_err(errors::of_create)?.with_stop(interrupt::stop()))
    }

    /// Acquires the lock; waits while another thread or process has it. True if it was acquired.
    ///
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait, in seconds;
    /// None waits for ever. False if it was not acquired in time.
    ///
    /// If its holder is killed, the next to acquire it gets it within 0.1 s; see owner_died.
    ///
    ///     >>> lock = shmq.multiprocessing.Lock()
    ///     >>> lock.acquire(timeout=5)
    ///     True
    #[pyo3(signature = (block=true, timeout=None))]
    pub fn acquire(&self, py: Python<'_>, #[pyo3(from_py_with = truth)] block: bool, timeout: Option<f64>) -> PyResult<bool> {
        let lock = self.inner()?;
        let wait = |until| match until {
            Until(None) => lock.acquire(),
            Until(Some(deadline)) => lock.acquire_deadline(deadline),
        };
        Ok(acquire(py, block, timeout, || lock.try_acquire(), wait)?.is_some())
    }

    /// Releases the lock, whichever thread or process acquired it. ValueError if it is free.
    ///
    ///     >>> lock = shmq.multiprocessing.Lock()
    ///     >>> lock.release()
    ///     Traceback (most recent call last):
    ///     ValueError: semaphore or lock released too many times
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let lock = self.inner()?;
        self.reported.check(lock.owner_died(), lock.name());
        let released = lock.release();
        events::emit(py);
        released.map_err(|error| match error {
            SyncError::NotLocked => PyValueError::new_err("semaphore or lock released too many times"),
            error => errors::of_sync(error),
        })
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire(py, true, None)
    }

    #[pyo3(signature = (*error))]
    fn __exit__(&self, error: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release(error.py())
    }

    /// Does a live process have it? As it is at this instant.
    ///
    ///     >>> with (lock := shmq.multiprocessing.Lock()): lock.locked()
    ///     True
    fn locked(&self) -> PyResult<bool> {
        Ok(self.inner()?.locked())
    }

    /// Has a holder died, and no later one called mark_repaired()? What the lock guards may be half
    /// changed. To be asked while you hold the lock.
    ///
    ///     >>> with (lock := shmq.multiprocessing.Lock()): lock.owner_died
    ///     False
    #[getter]
    fn owner_died(&self) -> PyResult<bool> {
        Ok(self.inner()?.owner_died())
    }

    /// What the lock guards is in order again: owner_died is False from now on. To be called while
    /// you hold the lock.
    ///
    ///     >>> with (lock := shmq.multiprocessing.Lock()): lock.mark_repaired()
    fn mark_repaired(&self) -> PyResult<()> {
        let lock = self.inner()?;
        self.reported.check(lock.owner_died(), lock.name());
        lock.mark_repaired();
        Ok(())
    }

    /// Does this process have it?
    fn _is_mine(&self) -> PyResult<bool> {
        Ok(self.inner()?.is_mine())
    }

    /// Does a thread of this process have it?
    fn _is_of_this_process(&self) -> PyResult<bool> {
        Ok(self.inner()?.holder_pid() == Some(std::process::id()))
    }

    pub fn _levels(&self) -> PyResult<u64> {
        Ok(u64::from(self.inner()?.is_mine()))
    }
}
