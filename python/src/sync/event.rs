//! `Event`: set or not, and waited for.

use super::primitive;
use crate::errors;
use crate::handle::{self, Slot};
use crate::interrupt::{self, Until};
use crate::sync::or_late;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use shmq::sync::Event as Inner;

/// An event between processes: it is set or not, and processes wait until it is set.
#[pyclass(module = "shmq._shmq", subclass, frozen, weakref)]
#[derive(Default)]
pub struct Event {
    slot: Slot<Inner>,
}

primitive!(Event, Inner, "()");

#[pymethods]
impl Event {
    fn __init__(&self) -> PyResult<()> {
        self.slot.set(Inner::new().map_err(errors::of_create)?.with_stop(interrupt::stop()))
    }

    /// Is it set, at this instant? An event stays as it is, whichever process is killed.
    ///
    ///     >>> shmq.multiprocessing.Event().is_set()
    ///     False
    fn is_set(&self) -> PyResult<bool> {
        Ok(self.inner()?.is_set())
    }

    /// Sets the event, and wakes all that wait.
    ///
    ///     >>> event = shmq.multiprocessing.Event(); event.set(); event.is_set()
    ///     True
    fn set(&self) -> PyResult<()> {
        self.inner()?.set();
        Ok(())
    }

    /// Makes the event unset: later calls of wait() wait again.
    ///
    ///     >>> event = shmq.multiprocessing.Event(); event.set(); event.clear(); event.is_set()
    ///     False
    fn clear(&self) -> PyResult<()> {
        self.inner()?.clear();
        Ok(())
    }

    /// Waits until it is set. timeout: how long, in seconds; None waits for ever. False if it was
    /// not set in time. A process that is killed while it waits holds up no other.
    ///
    ///     >>> shmq.multiprocessing.Event().wait(timeout=0.01)
    ///     False
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let event = self.inner()?;
        if event.is_set() {
            return Ok(true);
        }
        let until = Until::after(timeout)?;
        let wait = || match until {
            Until(None) => event.wait(),
            Until(Some(deadline)) => event.wait_deadline(deadline),
        };
        Ok(or_late(interrupt::wait(py, wait)?)?.is_some())
    }
}
