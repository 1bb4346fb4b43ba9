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

    /// is_set() -> bool
    fn is_set(&self) -> PyResult<bool> {
        Ok(self.inner()?.is_set())
    }

    /// set(): wakes all that wait.
    fn set(&self) -> PyResult<()> {
        self.inner()?.set();
        Ok(())
    }

    /// clear()
    fn clear(&self) -> PyResult<()> {
        self.inner()?.clear();
        Ok(())
    }

    /// wait(timeout=None) -> bool
    ///
    /// Waits until it is set, for timeout seconds at most (None: for ever). False if it was not.
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
