//! Objects as bytes: pickles of protocol 5.
//!
//! ```text
//!   Pickle::of --plain, and small--> written here                                (plain/)
//!              \--an array---------> no pickle, but its elements                 (../arrays)
//!              \--anything else----> a pickler that is used again                (pickler.rs)
//!                                     \--large buffers--> beside it, not in it   (buffers.rs)
//! ```

mod buffers;
mod pickler;
mod plain;

use crate::arrays;
use pickler::Pickled;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};
use std::cell::Cell;
use std::io::IoSlice;

/// The largest buffer that is kept for the next message.
const KEPT_BYTES: usize = 256 << 10;

thread_local! {
    /// What this thread writes plain objects to. Taken while it is in use.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An object as bytes.
pub enum Pickle {
    Plain(Vec<u8>),
    Array(arrays::Viewed),
    Pickled(Pickled),
}

impl Pickle {
    #[inline]
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Pickle> {
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        if plain::write(object, &mut buffer).is_some() {
            return Ok(Pickle::Plain(buffer));
        }
        keep(buffer);
        if let Some(array) = arrays::Viewed::of(object)? {
            return Ok(Pickle::Array(array));
        }
        Pickled::of(object).map(Pickle::Pickled)
    }

    /// The message. `None`: it has buffers, or is an array, and is to be written in place.
    #[inline]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Pickle::Plain(bytes) => Some(bytes),
            Pickle::Array(_) => None,
            Pickle::Pickled(pickled) => pickled.buffers().is_empty().then_some(pickled.bytes()),
        }
    }

    /// The length of a message with buffers.
    pub fn length(&self) -> usize {
        match self {
            Pickle::Plain(bytes) => bytes.len(),
            Pickle::Array(array) => array.length(),
            Pickle::Pickled(pickled) => buffers::length(pickled.bytes(), pickled.buffers()),
        }
    }

    /// The message in pieces: buffers and elements where they lie.
    pub fn with_pieces<R>(&self, call: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        match self {
            Pickle::Array(array) => array.with_pieces(call),
            Pickle::Pickled(pickled) if !pickled.buffers().is_empty() => {
                buffers::with_pieces(pickled.bytes(), pickled.buffers(), call)
            }
            Pickle::Pickled(pickled) => call(&[IoSlice::new(pickled.bytes())]),
            Pickle::Plain(bytes) => call(&[IoSlice::new(bytes)]),
        }
    }

    /// Writes a message with buffers.
    pub fn write(&self, py: Python<'_>, to: &mut [u8]) {
        match self {
            Pickle::Plain(bytes) => to.copy_from_slice(bytes),
            Pickle::Array(array) => array.write(py, to),
            Pickle::Pickled(pickled) => buffers::write(py, pickled.bytes(), pickled.buffers(), to),
        }
    }
}

impl Drop for Pickle {
    #[inline]
    fn drop(&mut self) {
        if let Pickle::Plain(buffer) = self {
            keep(std::mem::take(buffer));
        }
    }
}

#[inline]
fn keep(buffer: Vec<u8>) {
    if buffer.capacity() <= KEPT_BYTES {
        // At the end of a thread it is freed.
        let _ = BUFFER.try_with(|kept| kept.set(buffer));
    }
}

/// Pickles up to this size are copied into a `bytes` object, which costs less than a view of them.
const COPIED_BYTES: usize = 8 << 10;

/// The object that a message is.
#[inline]
pub fn load(py: Python<'_>, message: Vec<u8>) -> PyResult<Bound<'_, PyAny>> {
    Loader::new(py).load(message)
}

/// What loads many messages, one after the other: what it needs for plain objects it keeps.
pub struct Loader<'py> {
    py: Python<'py>,
    reader: plain::Reader<'py>,
}

impl<'py> Loader<'py> {
    #[inline]
    pub fn new(py: Python<'py>) -> Loader<'py> {
        Loader { py, reader: plain::Reader::new(py) }
    }

    #[inline]
    pub fn load(&mut self, message: Vec<u8>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(object) = self.reader.read(&message) {
            return Ok(object);
        }
        self.reader.release_keys();
        load_any(self.py, message)
    }
}

fn load_any(py: Python<'_>, message: Vec<u8>) -> PyResult<Bound<'_, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if arrays::is_array(&message) {
        return arrays::load(py, message);
    }
    let loads = LOADS.import(py, "_pickle", "loads")?;
    if buffers::is_tagged(&message) {
        let Some(parts) = buffers::read(py, message)? else {
            return Err(PyValueError::new_err("the message is no pickle with buffers"));
        };
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "buffers"), parts.buffers)?;
        return loads.call((parts.pickle,), Some(&keywords));
    }
    if message.len() <= COPIED_BYTES {
        return loads.call1((PyBytes::new(py, &message),));
    }
    loads.call1((Bound::new(py, Message { bytes: message })?,))
}

/// A message that lives as long as any view of it.
#[pyclass(module = "shmq._shmq", frozen)]
pub struct Message {
    bytes: Vec<u8>,
}

#[pymethods]
impl Message {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: std::ffi::c_int) -> PyResult<()> {
        let bytes = &slf.get().bytes;
        // SAFETY: `view` is the caller's to fill in. The bytes are never changed or moved: the class is
        // frozen, and the view keeps the object.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), bytes.as_ptr().cast_mut().cast(), bytes.len() as ffi::Py_ssize_t, 1, flags)
        };
        if filled == -1 { Err(PyErr::fetch(slf.py())) } else { Ok(()) }
    }
}
