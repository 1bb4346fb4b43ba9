//! Picklers that are used again: making one a message costs more than a small object.
//!
//! Invariants:
//! 1. A pickler is in use by one call at most: it is taken off the list meanwhile, since pickling
//!    may run any code, other threads' and a put into the same queue included.
//! 2. A pickler on the list remembers no object: its memo was cleared. One that failed is dropped.
//! 3. The list's mutex is held only while its thread is attached, and never across a call into
//!    Python: so no child inherits it locked.

use super::KEPT_BYTES;
use super::buffers::Callback;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyKeyError, PyMemoryError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};
use std::sync::{Mutex, PoisonError};

static PICKLERS: Mutex<Vec<Pickler>> = Mutex::new(Vec::new());

/// What a pickler writes to.
#[pyclass(module = "shmq._shmq", frozen)]
pub struct Sink {
    bytes: Mutex<Vec<u8>>,
}

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Sink {
    fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(data) = data.cast_exact::<PyBytes>() {
            let data = data.as_bytes();
            reserve(&mut bytes, data.len())?;
            bytes.extend_from_slice(data);
            return Ok(data.len());
        }
        // A buffer that stays in the pickle.
        let raw = data.call_method0(intern!(data.py(), "raw"));
        let buffer = PyBuffer::<u8>::get(raw.as_ref().unwrap_or(data))?;
        let first = bytes.len();
        reserve(&mut bytes, buffer.len_bytes())?;
        bytes.resize(first + buffer.len_bytes(), 0);
        buffer.copy_to_slice(data.py(), &mut bytes[first..])?;
        Ok(buffer.len_bytes())
    }
}

/// MemoryError, where Rust would abort the process.
fn reserve(bytes: &mut Vec<u8>, more: usize) -> PyResult<()> {
    bytes.try_reserve(more).map_err(|error| PyMemoryError::new_err(error.to_string()))
}

/// How types say that they are pickled: what was registered with `ForkingPickler` and, behind that,
/// with `copyreg`. Read at each use, so that later registrations count.
#[pyclass(module = "shmq._shmq", frozen)]
pub struct Reducers {
    of_multiprocessing: Py<PyDict>,
    of_copyreg: Py<PyDict>,
}

#[pymethods]
impl Reducers {
    fn __getitem__<'py>(&self, py: Python<'py>, class: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        for table in [&self.of_multiprocessing, &self.of_copyreg] {
            if let Some(reducer) = table.bind(py).get_item(class)? {
                return Ok(reducer);
            }
        }
        Err(PyKeyError::new_err(class.clone().unbind()))
    }
}

struct Pickler {
    pickler: Py<PyAny>,
    sink: Py<Sink>,
    callback: Py<Callback>,
}

impl Pickler {
    fn new(py: Python<'_>) -> PyResult<Pickler> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static REDUCERS: PyOnceLock<Py<Reducers>> = PyOnceLock::new();
        let reducers = REDUCERS.get_or_try_init(py, || {
            let forking = py.import("multiprocessing.reduction")?.getattr("ForkingPickler")?;
            let of_multiprocessing = forking.getattr("_extra_reducers")?.cast_into::<PyDict>()?.unbind();
            let of_copyreg = py.import("copyreg")?.getattr("dispatch_table")?.cast_into::<PyDict>()?.unbind();
            Py::new(py, Reducers { of_multiprocessing, of_copyreg })
        })?;
        let sink = Py::new(py, Sink { bytes: Mutex::default() })?;
        let callback = Py::new(py, Callback::default())?;
        let pickler = CLASS.import(py, "_pickle", "Pickler")?.call1((&sink, 5, true, &callback))?;
        pickler.setattr("dispatch_table", reducers)?;
        Ok(Pickler { pickler: pickler.unbind(), sink, callback })
    }

    fn take(py: Python<'_>) -> PyResult<Pickler> {
        let free = PICKLERS.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.map_or_else(|| Pickler::new(py), Ok)
    }
}

/// A pickle, and the pickler that wrote it, which goes back to the list with its buffer.
pub struct Pickled {
    bytes: Vec<u8>,
    buffers: Vec<PyBuffer<u8>>,
    pickler: Option<Pickler>,
}

impl Pickled {
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Pickled> {
        let py = object.py();
        let pickler = Pickler::take(py)?;
        pickler.pickler.call_method1(py, intern!(py, "dump"), (object,))?;
        pickler.pickler.call_method0(py, intern!(py, "clear_memo"))?;
        let (bytes, buffers) = (pickler.sink.get().take(), pickler.callback.get().take());
        Ok(Pickled { bytes, buffers, pickler: Some(pickler) })
    }

    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    pub fn buffers(&self) -> &[PyBuffer<u8>] {
        &self.buffers
    }
}

impl Drop for Pickled {
    fn drop(&mut self) {
        let Some(pickler) = self.pickler.take() else { return };
        // A pickler's memo stays as large as the largest object made it.
        if self.bytes.capacity() > KEPT_BYTES {
            return;
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        *pickler.sink.get().bytes.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        PICKLERS.lock().unwrap_or_else(PoisonError::into_inner).push(pickler);
    }
}
