//! Arrays by copy: what `put` writes of a numpy array, and what `get` makes of a message.
//!
//! Only an array in one piece, whose dtype a buffer says exactly, is a message of this kind: whatever else
//! there is goes as a pickle.

use super::array::{Array, Memory};
use super::element::Element;
use super::message::Description;
use pyo3::exceptions::{PyImportError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use std::io::IoSlice;
use std::ptr;
use std::slice;

/// From here on other threads may run while elements are copied.
const LONG_COPY: usize = 256 << 10;

/// An array of the caller's, to be copied into a message.
pub struct Viewed {
    description: Description,
    message_bytes: usize,
    buffer: Buffer,
}

/// A buffer with a shape and strides. (pyo3's refuses arrays of no dimension.)
struct Buffer(Box<ffi::Py_buffer>);

impl Buffer {
    fn of(object: &Bound<'_, PyAny>) -> PyResult<Buffer> {
        let mut buffer = Buffer(Box::new(ffi::Py_buffer::new()));
        // SAFETY: a live object, and a buffer to be filled in, which does not move.
        match unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut *buffer.0, ffi::PyBUF_FULL_RO) } {
            -1 => Err(PyErr::fetch(object.py())), // Its drop releases nothing: it has no object.
            _ => Ok(buffer),
        }
    }

    fn shape(&self) -> &[isize] {
        match self.0.ndim {
            0 => &[],
            // SAFETY: PyBUF_ND: as many lengths, which the buffer keeps.
            dimensions => unsafe { slice::from_raw_parts(self.0.shape, dimensions as usize) },
        }
    }

    /// Is it in one piece, in that order: b'C' or b'F'?
    fn is_contiguous(&self, order: u8) -> bool {
        // SAFETY: a buffer that was filled in.
        unsafe { ffi::PyBuffer_IsContiguous(&*self.0, order as std::ffi::c_char) == 1 }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: `Viewed` is dropped where it was made, in a call that is attached; the buffer was filled
        // in, or has no object.
        unsafe { ffi::PyBuffer_Release(&mut *self.0) };
    }
}

/// Memory to copy from, which a buffer keeps.
struct From(*const u8);
// SAFETY: its buffer is held by the caller while other threads run.
unsafe impl Send for From {}
// SAFETY: as above.
unsafe impl Sync for From {}

/// numpy.ndarray, if numpy was imported: without it there is none.
fn ndarray(py: Python<'_>) -> PyResult<Option<&Bound<'_, PyType>>> {
    static NDARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if let Some(class) = NDARRAY.get(py) {
        return Ok(Some(class.bind(py)));
    }
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    let Ok(numpy) = modules.get_item(intern!(py, "numpy")) else { return Ok(None) };
    // A numpy that is being imported, or that is a test's stand-in, has none.
    let Ok(class) = numpy.getattr(intern!(py, "ndarray")) else { return Ok(None) };
    let Ok(class) = class.cast_into::<PyType>() else { return Ok(None) };
    Ok(Some(NDARRAY.get_or_init(py, || class.unbind()).bind(py)))
}

impl Viewed {
    /// `None`: it is no array, or none that a message of this kind can say.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<Viewed>> {
        let py = object.py();
        let element = match ndarray(py)? {
            Some(class) if object.get_type().is(class) => Element::if_exact(&object.getattr(intern!(py, "dtype"))?)?,
            _ => object.cast::<Array>().ok().map(|array| array.get().description().element.clone()),
        };
        let Some(element) = element else { return Ok(None) };
        let buffer = Buffer::of(object)?;
        let is_fortran = !buffer.is_contiguous(b'C');
        if is_fortran && !buffer.is_contiguous(b'F') {
            return Ok(None);
        }
        let Some(mut description) = Description::new(element, buffer.shape().to_vec(), is_fortran) else { return Ok(None) };
        description.is_read_only = buffer.0.readonly != 0;
        if description.bytes() != buffer.0.len as usize {
            return Ok(None);
        }
        let Some(message_bytes) = description.message_bytes() else { return Ok(None) };
        Ok(Some(Viewed { description, message_bytes, buffer }))
    }

    /// Bytes of the message.
    pub fn length(&self) -> usize {
        self.message_bytes
    }

    /// The message in pieces: its head, and the elements where they lie.
    pub fn with_pieces<R>(&self, call: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let head = self.description.head_in_pieces();
        let elements = match self.description.bytes() {
            0 => &[],
            // SAFETY: as in `write`. They are only copied.
            bytes => unsafe { slice::from_raw_parts(self.buffer.0.buf.cast::<u8>(), bytes) },
        };
        call(&[IoSlice::new(&head), IoSlice::new(elements)])
    }

    /// Writes the message to memory of just its length.
    pub fn write(&self, py: Python<'_>, to: &mut [u8]) {
        let begin = self.description.write_head(to);
        let from = From(self.buffer.0.buf.cast());
        let to = &mut to[begin..][..self.description.bytes()];
        let copy = |to: &mut [u8]| {
            let From(from) = &from;
            // SAFETY: a buffer of as many bytes in one piece, which `self` holds. A thread that writes to
            // the array meanwhile makes the message torn, as any copy.
            unsafe { ptr::copy_nonoverlapping(*from, to.as_mut_ptr(), to.len()) };
        };
        if to.len() < LONG_COPY { copy(to) } else { py.detach(|| copy(to)) }
    }
}

/// The array that a message is: numpy's, or an `Array` where there is no numpy.
pub fn load(py: Python<'_>, mut message: Vec<u8>) -> PyResult<Bound<'_, PyAny>> {
    static ASARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some((description, begin)) = Description::read(&message) else {
        return Err(PyValueError::new_err("the message begins as an array and is none"));
    };
    // Not moved any more: the vector keeps its memory.
    let elements = message[begin..].as_mut_ptr();
    let is_bfloat16 = description.element.is_bfloat16();
    let array = Bound::new(py, Array::of(description, elements, Memory::Own(message)))?;
    let asarray = match ASARRAY.import(py, "numpy", "asarray") {
        Ok(asarray) if !is_bfloat16 => asarray,
        Err(error) if !error.is_instance_of::<PyImportError>(py) => return Err(error),
        _ => return Ok(array.into_any()),
    };
    asarray.call1((array,))
}
