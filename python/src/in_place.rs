//! Messages of a `BytesQueue` in the segment: `BytesLoan` to write one, `BytesLease` to read one.
//!
//! ```text
//!   open --normal end--> committed, or done (a view pins its memory until the last buffer is gone)
//!        \--exception--> aborted, or given back, once the last buffer is gone
//! ```
//!
//! Invariants:
//! 1. While a buffer is exported (`exports > 0`), the guard of its record is alive: a loan that is not
//!    committed, a lease that is not given back, or a view. So its memory is no other message's, and
//!    stays mapped.
//! 2. `exports` and the state change under one mutex, attached to the interpreter.

use crate::errors;
use pyo3::exceptions::{PyBufferError, PyRuntimeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use shmq::{AckLease, DynLoan, View};
use std::ffi::c_int;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A record in the segment.
#[derive(Clone, Copy)]
struct Bytes {
    at: *mut u8,
    length: usize,
}
// SAFETY: an address, used only while a guard keeps what is there (Invariant 1).
unsafe impl Send for Bytes {}

/// Fills in a view of a record.
///
/// # Safety
/// `view` is the caller's of `__getbuffer__`.
unsafe fn export(
    owner: &Bound<'_, PyAny>,
    bytes: Bytes,
    read_only: bool,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> PyResult<()> {
    // SAFETY: as the caller says; the memory stays as long as `owner` counts the export (Invariant 1).
    let filled = unsafe {
        ffi::PyBuffer_FillInfo(
            view,
            owner.as_ptr(),
            bytes.at.cast(),
            bytes.length as ffi::Py_ssize_t,
            c_int::from(read_only),
            flags,
        )
    };
    if filled == -1 { Err(PyErr::fetch(owner.py())) } else { Ok(()) }
}

fn memoryview<'py>(owner: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    owner.py().import("builtins")?.getattr("memoryview")?.call1((owner,))
}

fn ended() -> PyErr {
    PyRuntimeError::new_err("it has ended")
}

enum Loan {
    Open(DynLoan<'static>),
    /// Aborted with a buffer alive.
    Aborting(#[allow(dead_code)] DynLoan<'static>),
    Ended,
}

struct Writing {
    loan: Loan,
    bytes: Bytes,
    exports: usize,
    /// What `__enter__` gave.
    view: Option<Py<PyAny>>,
}

/// Room for a message: a context manager, whose value is a writable memoryview. See
/// BytesQueue.loan.
#[pyclass(module = "shmq", frozen)]
pub struct BytesLoan {
    state: Mutex<Writing>,
}

impl BytesLoan {
    pub fn of(mut loan: DynLoan<'static>) -> BytesLoan {
        let bytes = Bytes { at: loan.as_mut_ptr(), length: loan.len() };
        BytesLoan { state: Mutex::new(Writing { loan: Loan::Open(loan), bytes, exports: 0, view: None }) }
    }

    fn state(&self) -> MutexGuard<'_, Writing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl BytesLoan {
    /// It and the view of `__enter__` hold each other: where neither is held otherwise, the loan is
    /// aborted.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // In use: something holds it. A collection never waits.
        match self.state.try_lock() {
            Ok(state) => visit.call(&state.view),
            Err(_) => Ok(()),
        }
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let mut state = slf.get().state();
        if !matches!(state.loan, Loan::Open(_)) {
            return Err(PyBufferError::new_err("the loan has ended"));
        }
        // SAFETY: the caller's view.
        unsafe { export(slf.as_any(), state.bytes, false, view, flags)? };
        state.exports += 1;
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        let mut state = self.state();
        state.exports -= 1;
        if state.exports == 0 && matches!(state.loan, Loan::Aborting(_)) {
            state.loan = Loan::Ended;
        }
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        let view = memoryview(slf.as_any())?;
        let before = slf.get().state().view.replace(view.clone().unbind());
        // Not before the state is free: the end of a view needs it.
        drop(before);
        Ok(view)
    }

    #[pyo3(signature = (class, _error, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        class: Option<&Bound<'_, PyAny>>,
        _error: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let view = self.state().view.take();
        let released = view.map_or(Ok(()), |view| view.call_method0(py, "release").map(drop));
        let mut state = self.state();
        let Loan::Open(loan) = std::mem::replace(&mut state.loan, Loan::Ended) else { return Err(ended()) };
        if state.exports > 0 {
            state.loan = Loan::Aborting(loan);
            return match (class, released) {
                (None, Err(error)) => Err(error),
                (None, Ok(())) => Err(PyBufferError::new_err("a view of the loan is still alive, so it was not put")),
                (Some(_), _) => Ok(()),
            };
        }
        drop(state);
        match class {
            None => loan.commit().map_err(|error| errors::of_put(py, error)),
            Some(_) => Ok(()),
        }
    }
}

enum Reading {
    Open(AckLease<'static, [u8]>),
    /// Done, and its memory pinned.
    Done(#[allow(dead_code)] View<'static, [u8]>),
    /// To be given back once no buffer is alive.
    GivingBack(#[allow(dead_code)] AckLease<'static, [u8]>),
    Ended,
}

struct Leased {
    lease: Reading,
    bytes: Bytes,
    exports: usize,
    /// What `__enter__` gave.
    view: Option<Py<PyAny>>,
}

/// A message in place: a context manager, whose value is a read-only memoryview. See
/// BytesQueue.lease.
#[pyclass(module = "shmq", frozen)]
pub struct BytesLease {
    state: Mutex<Leased>,
    deliveries: u32,
}

impl BytesLease {
    pub fn of(lease: AckLease<'static, [u8]>) -> BytesLease {
        let bytes = Bytes { at: lease.as_ptr().cast_mut(), length: lease.len() };
        let deliveries = lease.deliveries();
        BytesLease { state: Mutex::new(Leased { lease: Reading::Open(lease), bytes, exports: 0, view: None }), deliveries }
    }

    fn state(&self) -> MutexGuard<'_, Leased> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl BytesLease {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let mut state = slf.get().state();
        if !matches!(state.lease, Reading::Open(_)) {
            return Err(PyBufferError::new_err("the lease has ended"));
        }
        // SAFETY: the caller's view.
        unsafe { export(slf.as_any(), state.bytes, true, view, flags)? };
        state.exports += 1;
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        let mut state = self.state();
        state.exports -= 1;
        if state.exports == 0 && !matches!(state.lease, Reading::Open(_)) {
            // A view that is dropped frees its room, a lease gives its message back.
            state.lease = Reading::Ended;
        }
    }

    /// Which delivery of the message this is: 1, or more if it came back.
    #[getter]
    fn deliveries(&self) -> u32 {
        self.deliveries
    }

    /// As of a loan; the message comes back.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.state.try_lock() {
            Ok(state) => visit.call(&state.view),
            Err(_) => Ok(()),
        }
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        let view = memoryview(slf.as_any())?;
        slf.get().state().view = Some(view.clone().unbind());
        Ok(view)
    }

    #[pyo3(signature = (class, _error, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        class: Option<&Bound<'_, PyAny>>,
        _error: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        // The variable of the `with` statement outlives the block. A loop would hold its last message
        // while it waits for the next one, and the room of all behind that.
        let view = self.state().view.take();
        if let Some(view) = view {
            match view.call_method0(py, "release") {
                Err(error) if !error.is_instance_of::<PyBufferError>(py) => return Err(error),
                _ => {} // An array, or what else was made of it, still reads.
            }
        }
        let mut state = self.state();
        let Reading::Open(lease) = std::mem::replace(&mut state.lease, Reading::Ended) else { return Err(ended()) };
        let is_used = state.exports > 0;
        match (class, is_used) {
            (None, false) => lease.ack().map_err(|error| errors::of_get(py, error)),
            (None, true) => {
                state.lease = Reading::Done(lease.into_view().map_err(|error| errors::of_get(py, error))?);
                Ok(())
            }
            (Some(_), false) => {
                lease.give_back();
                Ok(())
            }
            (Some(_), true) => {
                state.lease = Reading::GivingBack(lease);
                Ok(())
            }
        }
    }
}
