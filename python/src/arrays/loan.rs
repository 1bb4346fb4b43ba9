//! `ArrayLoan`: an array that is filled where it will be read.

use super::array::{Array, Memory, ended};
use super::message::Description;
use crate::errors;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use shmq::{DynLoan, DynTopicLoan, PutError};
use std::ops::{Deref, DerefMut};

/// A record that is written in place.
pub enum Loaned {
    Queue(DynLoan<'static>),
    Topic(DynTopicLoan<'static>),
}

impl Loaned {
    fn commit(self) -> Result<(), PutError> {
        match self {
            Loaned::Queue(loan) => loan.commit(),
            Loaned::Topic(loan) => loan.commit(),
        }
    }
}

impl Deref for Loaned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Loaned::Queue(loan) => loan,
            Loaned::Topic(loan) => loan,
        }
    }
}

impl DerefMut for Loaned {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Loaned::Queue(loan) => loan,
            Loaned::Topic(loan) => loan,
        }
    }
}

/// An array to be filled in place: `with q.loan(shape, dtype) as a: ...`. It is put at the normal end of the
/// block. If the block raises, or its process dies in it, nothing is put; nor if a view of it is alive at
/// the end, which raises BufferError. It is dead afterwards.
#[pyclass(module = "shmq", extends = Array, frozen)]
pub struct ArrayLoan;

impl ArrayLoan {
    /// Of a loan of `message_bytes`.
    pub fn of(py: Python<'_>, mut loan: Loaned, description: Description) -> PyResult<Py<ArrayLoan>> {
        let begin = description.write_head(&mut loan);
        let elements = loan[begin..].as_mut_ptr();
        let array = Array::of(description, elements, Memory::Loan(loan));
        Py::new(py, PyClassInitializer::from(array).add_subclass(ArrayLoan))
    }
}

/// Takes the loan out of its array, if no view is alive. Otherwise it stays, or is aborted later.
fn take(array: &Array, aborts_under_view: bool) -> PyResult<Loaned> {
    let mut state = array.state();
    match std::mem::replace(&mut state.memory, Memory::Ended) {
        Memory::Loan(loan) if state.exports == 0 => Ok(loan),
        Memory::Loan(loan) if aborts_under_view => {
            state.memory = Memory::Aborting(loan);
            Err(PyBufferError::new_err("a view of the array is still alive, so it was not put"))
        }
        Memory::Loan(loan) => {
            state.memory = Memory::Loan(loan);
            Err(PyBufferError::new_err("a view of the array is still alive"))
        }
        other => {
            state.memory = other;
            Err(ended())
        }
    }
}

#[pymethods]
impl ArrayLoan {
    /// Puts the array. BufferError, and it stays a loan, if a view of it is alive.
    fn commit(slf: &Bound<'_, Self>) -> PyResult<()> {
        let loan = take(slf.as_super().get(), false)?;
        loan.commit().map_err(|error| errors::of_put(slf.py(), error))
    }

    /// Nothing is put. Views that are alive keep its room until they are gone.
    fn abort(slf: &Bound<'_, Self>) {
        // Under a view it is aborted once that is gone; what has ended stays so.
        drop(take(slf.as_super().get(), true));
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    #[pyo3(signature = (class, _error, _traceback))]
    fn __exit__(
        slf: &Bound<'_, Self>,
        class: Option<&Bound<'_, PyAny>>,
        _error: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let array = slf.as_super().get();
        if class.is_some() {
            drop(take(array, true));
            return Ok(());
        }
        if matches!(array.state().memory, Memory::Ended | Memory::Aborting(_)) {
            return Ok(()); // By commit() or abort().
        }
        take(array, true)?.commit().map_err(|error| errors::of_put(slf.py(), error))
    }
}
