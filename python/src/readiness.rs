//! `Readiness`: a descriptor for event loops. Its thread is the crate's: it runs no Python code.

use crate::errors;
use pyo3::prelude::*;
use shmq::future;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};

/// Readable once it is worth a try to get, or to put.
#[pyclass(module = "shmq._shmq", frozen)]
pub struct Readiness {
    inner: Mutex<future::Readiness>,
}

impl Readiness {
    pub fn of(inner: future::Readiness) -> Readiness {
        Readiness { inner: Mutex::new(inner) }
    }
}

#[pymethods]
impl Readiness {
    /// fileno() -> int
    fn fileno(&self) -> i32 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).as_raw_fd()
    }

    /// rearm() -> bool: waits again, unless it is worth a try now.
    fn rearm(&self, py: Python<'_>) -> PyResult<bool> {
        let rearmed = self.inner.lock().unwrap_or_else(PoisonError::into_inner).rearm();
        rearmed.map_err(|error| errors::of_get(py, error.into()))
    }
}
