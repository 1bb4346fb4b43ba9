//! `Semaphore`: permits, of which there are never more than the bound, if there is one.

use super::{acquire, primitive};
use crate::arguments::truth;
use crate::errors;
use crate::handle::{self, Slot};
use crate::interrupt::{self, Until};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use shmq::sync::{Permit, Semaphore as Inner, SyncError};
use std::sync::{Mutex, PoisonError};

/// A semaphore between processes: Semaphore(value=1, *, bounded=False).
///
/// A permit that a `with` block has comes back if the process dies. One of acquire() is gone then.
#[pyclass(module = "shmq._shmq", subclass, frozen, weakref)]
#[derive(Default)]
pub struct Semaphore {
    slot: Slot<Inner>,
    /// Those of `with` blocks.
    permits: Mutex<Vec<Permit<'static>>>,
}

primitive!(Semaphore, Inner, "(value=1, *, bounded=False)");

#[pymethods]
impl Semaphore {
    #[pyo3(signature = (value=1, *, bounded=false))]
    fn __init__(&self, value: i64, bounded: bool) -> PyResult<()> {
        let permits =
            u64::try_from(value).map_err(|_| PyValueError::new_err(format!("a semaphore has 0 permits or more, not {value}")))?;
        let made = Inner::builder(permits).bounded(bounded).create();
        self.slot.set(made.map_err(errors::of_create)?.with_stop(interrupt::stop()))
    }

    /// Takes a permit; waits while there is none. True if it got one.
    ///
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait, in seconds;
    /// None waits for ever. False if it got none in time.
    ///
    /// The permit is gone if this process is killed before release(). One of a `with` block comes
    /// back.
    ///
    ///     >>> semaphore = shmq.multiprocessing.Semaphore(1)
    ///     >>> semaphore.acquire(), semaphore.acquire(timeout=0.01)
    ///     (True, False)
    #[pyo3(signature = (block=true, timeout=None))]
    fn acquire(&self, py: Python<'_>, #[pyo3(from_py_with = truth)] block: bool, timeout: Option<f64>) -> PyResult<bool> {
        let semaphore = self.inner()?;
        let wait = |until| match until {
            Until(None) => semaphore.acquire(),
            Until(Some(deadline)) => semaphore.acquire_deadline(deadline),
        };
        Ok(acquire(py, block, timeout, || semaphore.try_acquire(), wait)?.is_some())
    }

    /// Gives a permit, which wakes one that waits. ValueError if a bounded semaphore has all of its
    /// permits.
    ///
    ///     >>> semaphore = shmq.multiprocessing.BoundedSemaphore(1)
    ///     >>> semaphore.acquire(); semaphore.release()
    ///     True
    fn release(&self) -> PyResult<()> {
        self.inner()?.release().map_err(|error| match error {
            SyncError::TooManyReleases { .. } => {
                PyValueError::new_err(format!("semaphore or lock released too many times: {error}"))
            }
            error => errors::of_sync(error),
        })
    }

    /// Takes a permit, which comes back at the end of the block, or if this process dies.
    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        let semaphore = self.inner()?;
        let permit = acquire(py, true, None, || semaphore.try_permit_owned(), |_| semaphore.permit_owned())?;
        self.permits.lock().unwrap_or_else(PoisonError::into_inner).extend(permit);
        Ok(true)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyTuple>) -> PyResult<()> {
        let permit = self.permits.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // `release` by itself where `__enter__` was in a thread of the parent.
        permit.map_or_else(
            || self.release(),
            |permit| {
                drop(permit);
                Ok(())
            },
        )
    }

    /// How many permits are free, at this instant.
    ///
    ///     >>> shmq.multiprocessing.Semaphore(3).get_value()
    ///     3
    fn get_value(&self) -> PyResult<u64> {
        Ok(self.inner()?.value())
    }

    /// The most permits that there may be; None: no bound.
    #[getter]
    fn _bound(&self) -> PyResult<Option<u64>> {
        Ok(self.inner()?.bound())
    }
}
