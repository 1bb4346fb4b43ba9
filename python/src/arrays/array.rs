//! `Array`: memory with a shape, which it exports as a buffer and by DLPack.
//!
//! ```text
//!   its own:  open
//!   a loan:   open --commit--> ended: it was put
//!                  \--abort, or the block ended under a view--> aborting --last view gone--> ended
//!   a lease:  open --done--> done, pinned while a view is alive --last view gone--> ended: its room is free
//!                  \--give back--> giving back, while a view is alive --last view gone--> ended
//!   a sample: open --the block ended--> passing, while a view is alive --last view gone--> ended: it was passed
//! ```
//!
//! Invariants:
//! 1. While something is exported (`exports > 0`), the guard of its record is alive: a loan that is not
//!    committed, a lease that is not given back, a sample that is not passed, or a view. So its memory is no other message's, and
//!    stays mapped.
//! 2. `exports` and the state change under one mutex. No Python code runs under it.
//! 3. What is exported leads into `description`, which never changes: the object that owns it is kept by
//!    each export.

use super::loan::Loaned;
use super::message::Description;
use super::sample::Sampled;
use pyo3::exceptions::{PyBufferError, PyRuntimeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use shmq::{AckLease, View};
use std::ffi::c_int;
use std::process;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What keeps the memory.
pub enum Memory {
    /// A message that was got by copy.
    Own(#[allow(dead_code)] Vec<u8>),
    Loan(Loaned),
    Aborting(#[allow(dead_code)] Loaned),
    Lease(AckLease<'static, [u8]>),
    Done(#[allow(dead_code)] View<'static, [u8]>),
    GivingBack(#[allow(dead_code)] AckLease<'static, [u8]>),
    Sample(Sampled),
    Passing(#[allow(dead_code)] Sampled),
    Ended,
}

impl Memory {
    fn is_open(&self) -> bool {
        matches!(self, Memory::Own(_) | Memory::Loan(_) | Memory::Lease(_) | Memory::Sample(_))
    }
}

pub struct State {
    pub memory: Memory,
    pub exports: usize,
}

/// The elements.
#[derive(Clone, Copy)]
struct Elements(*mut u8);
// SAFETY: an address, used only while a guard keeps what is there (Invariant 1).
unsafe impl Send for Elements {}
// SAFETY: as above; threads that write through views of it are Python's to keep apart.
unsafe impl Sync for Elements {}

/// An array in shared memory: a buffer with a shape and a format, for numpy.asarray(a), memoryview(a), and
/// every library that takes buffers or DLPack (from_dlpack(a)).
///
/// It is made by Queue.loan, Queue.lease_array and their kin. Once its message has ended, BufferError.
#[pyclass(module = "shmq", subclass, frozen, weakref)]
pub struct Array {
    description: Description,
    elements: Elements,
    /// The process that it belongs to: none if the memory is its own.
    process: Option<u32>,
    state: Mutex<State>,
}

impl Array {
    /// Of a record in the segment, or of memory of its own, whose elements lie at `elements`.
    pub fn of(description: Description, elements: *mut u8, memory: Memory) -> Array {
        let process = (!matches!(memory, Memory::Own(_))).then(process::id);
        Array { description, elements: Elements(elements), process, state: Mutex::new(State { memory, exports: 0 }) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn description(&self) -> &Description {
        &self.description
    }

    pub fn elements(&self) -> *mut u8 {
        self.elements.0
    }

    /// Counts one more export, which `unexport` is to end.
    pub fn export(&self) -> PyResult<()> {
        if self.process.is_some_and(|process| process != process::id()) {
            return Err(PyBufferError::new_err("the array belongs to the parent process"));
        }
        let mut state = self.state();
        if !state.memory.is_open() {
            return Err(PyBufferError::new_err("the array has ended"));
        }
        state.exports += 1;
        Ok(())
    }

    pub fn unexport(&self) {
        let mut state = self.state();
        state.exports -= 1;
        if state.exports == 0 && !state.memory.is_open() {
            // A loan that is dropped aborts, a view frees its room, a lease gives its message
            // back, a sample is passed.
            state.memory = Memory::Ended;
        }
    }
}

pub fn ended() -> PyErr {
    PyRuntimeError::new_err("it has ended")
}

/// Can a consumer that asks for `flags` read the array? The error says why not.
fn check(description: &Description, flags: c_int) -> Result<(), &'static str> {
    let asks = |flag: c_int| flags & flag == flag;
    match () {
        () if asks(ffi::PyBUF_WRITABLE) && description.is_read_only => Err("the array is read-only"),
        () if !description.is_c_contiguous() && (!asks(ffi::PyBUF_STRIDES) || asks(ffi::PyBUF_C_CONTIGUOUS)) => {
            Err("the array is not in the order of C")
        }
        () if !description.is_f_contiguous() && asks(ffi::PyBUF_F_CONTIGUOUS) => Err("the array is not in the order of Fortran"),
        () if asks(ffi::PyBUF_FORMAT) && !asks(ffi::PyBUF_ND) => Err("elements cannot be bytes where their format is asked for"),
        () => Ok(()),
    }
}

fn memoryview<'py>(owner: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: `owner` is a live object, and the result a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(owner.py(), ffi::PyMemoryView_FromObject(owner.as_ptr())) }
}

#[pymethods]
impl Array {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        let description = &this.description;
        let asks = |flag: c_int| flags & flag == flag;
        let checked = check(description, flags).map_err(PyBufferError::new_err).and_then(|()| this.export());
        // SAFETY: `view` is the caller's to fill in.
        let view = unsafe { &mut *view };
        view.obj = ptr::null_mut();
        checked?;
        view.buf = this.elements.0.cast();
        view.len = description.bytes() as ffi::Py_ssize_t;
        view.itemsize = description.element.size() as ffi::Py_ssize_t;
        view.readonly = c_int::from(description.is_read_only);
        let (has_shape, has_strides) = (asks(ffi::PyBUF_ND), asks(ffi::PyBUF_STRIDES));
        // They lead into the description (Invariant 3), and consumers do not write to them.
        view.ndim = if has_shape { description.shape.len() as c_int } else { 1 };
        view.format = match asks(ffi::PyBUF_FORMAT) {
            true => description.element.format().as_ptr().cast_mut(),
            false => ptr::null_mut(),
        };
        view.shape = if has_shape { description.shape.as_ptr().cast_mut() } else { ptr::null_mut() };
        view.strides = if has_strides { description.strides.as_ptr().cast_mut() } else { ptr::null_mut() };
        view.suboffsets = ptr::null_mut();
        view.internal = ptr::null_mut();
        view.obj = slf.into_ptr();
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.unexport();
    }

    /// The length of each dimension.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.description.shape)
    }

    /// The bytes from one element of each dimension to the next.
    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.description.strides)
    }

    /// The format of an element, as the module struct has it; "bfloat16" of those, whose buffers are of
    /// unsigned 16-bit numbers.
    #[getter]
    fn format(&self) -> String {
        String::from_utf8_lossy(self.description.element.text()).into_owned()
    }

    /// Bytes of an element.
    #[getter]
    fn itemsize(&self) -> usize {
        self.description.element.size()
    }

    /// How many dimensions it has.
    #[getter]
    fn ndim(&self) -> usize {
        self.description.shape.len()
    }

    /// Bytes of all elements.
    #[getter]
    fn nbytes(&self) -> usize {
        self.description.bytes()
    }

    /// May it not be written to?
    #[getter]
    fn readonly(&self) -> bool {
        self.description.is_read_only
    }

    fn __len__(&self) -> PyResult<usize> {
        match self.description.shape.first() {
            Some(&length) => Ok(length as usize),
            None => Err(pyo3::exceptions::PyTypeError::new_err("an array of no dimension has no length")),
        }
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        memoryview(slf.as_any())?.get_item(key)
    }

    fn __setitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        memoryview(slf.as_any())?.set_item(key, value)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let state = if this.state().memory.is_open() { "" } else { " ended" };
        let shape = PyTuple::new(slf.py(), &this.description.shape)?.repr()?;
        Ok(format!("<{} of {shape} {:?}{state}>", slf.get_type().qualname()?, this.format()))
    }
}
