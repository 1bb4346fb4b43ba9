//! What the Python files of this package ask of a queue: `_queues.py`, `multiprocessing/queues.py`.

use super::Queue;
use crate::errors;
use crate::pickle::Pickle;
use crate::readiness::Readiness;
use crate::ring;
use pyo3::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

#[pymethods]
impl Queue {
    fn _task_done(&self) -> PyResult<()> {
        self.ring()?.task_done().map_err(errors::of_join)
    }

    #[pyo3(signature = (timeout=None))]
    fn _join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        ring::join(py, self.ring()?, timeout)
    }

    /// A descriptor that is readable once there is something to get.
    fn _readable(&self, py: Python<'_>) -> PyResult<Readiness> {
        self.ring()?.readable().map(Readiness::of).map_err(|error| errors::of_get(py, error))
    }

    /// A descriptor that is readable once there is room for a pickle of so many bytes.
    fn _writable(&self, py: Python<'_>, bytes: usize) -> PyResult<Readiness> {
        self.ring()?.writable_for(bytes).map(Readiness::of).map_err(|error| errors::of_put(py, error))
    }

    /// One try: None if it was put, or else the bytes that there is no room for.
    fn _try_put(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let (py, ring) = (slf.py(), Queue::ring_in_use(slf)?);
        slf.get().is_used.store(true, Relaxed);
        let pickle = Pickle::of(obj)?;
        match Queue::put_pickle(py, ring, &pickle, false, None) {
            Ok(()) => Ok(None),
            Err(error) if errors::is_full(py, &error) => Ok(Some(pickle.length())),
            Err(error) => Err(error),
        }
    }

    /// Was this handle closed?
    #[getter]
    fn _closed(&self) -> bool {
        self.is_closed.load(Relaxed)
    }

    /// Was anything put by this handle?
    #[getter]
    fn _is_used(&self) -> bool {
        self.is_used.load(Relaxed)
    }
}
