//! `ArrayLease`: an array that is read where it lies.

use super::array::{Array, Memory, ended};
use super::message::Description;
use crate::errors;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;
use shmq::AckLease;

/// An array that is read in place: `with q.lease_array() as a: ...`, read-only. Its message is done at the
/// normal end of the block, and its room is free once no view of it is alive. If the block raises, or its
/// process dies in it, the message comes back. One that is dropped without an end gives it back too.
#[pyclass(module = "shmq", extends = Array, frozen)]
pub struct ArrayLease {
    deliveries: u32,
}

impl ArrayLease {
    /// What is no array is given back.
    pub fn of(py: Python<'_>, lease: AckLease<'static, [u8]>) -> PyResult<Py<ArrayLease>> {
        let Some((mut description, begin)) = Description::read(&lease) else {
            lease.give_back();
            return Err(PyTypeError::new_err("the message is no array in one piece: it was given back, for get() or lease()"));
        };
        description.is_read_only = true;
        let elements = lease[begin..].as_ptr().cast_mut();
        let deliveries = lease.deliveries();
        let array = Array::of(description, elements, Memory::Lease(lease));
        Py::new(py, PyClassInitializer::from(array).add_subclass(ArrayLease { deliveries }))
    }

    fn give_back_of(array: &Array) -> PyResult<()> {
        let mut state = array.state();
        match std::mem::replace(&mut state.memory, Memory::Ended) {
            Memory::Lease(lease) if state.exports == 0 => lease.give_back(),
            // Its memory is not given away under a view (Invariant 1).
            Memory::Lease(lease) => state.memory = Memory::GivingBack(lease),
            other => {
                state.memory = other;
                return Err(ended());
            }
        }
        Ok(())
    }
}

#[pymethods]
impl ArrayLease {
    /// Which delivery of the message this is: 1, or more if it came back.
    #[getter]
    fn deliveries(&self) -> u32 {
        self.deliveries
    }

    /// The message is done, and its room is free. BufferError, and it stays a lease, if a view
    /// of it is alive.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut state = slf.as_super().get().state();
        if matches!(state.memory, Memory::Lease(_)) && state.exports > 0 {
            return Err(PyBufferError::new_err("a view of the array is still alive"));
        }
        match std::mem::replace(&mut state.memory, Memory::Ended) {
            Memory::Lease(lease) => lease.ack().map_err(|error| errors::of_get(slf.py(), error)),
            other => {
                state.memory = other;
                Err(ended())
            }
        }
    }

    /// The message is delivered again, to any process, before newer ones; once no view of it
    /// is alive.
    fn give_back(slf: &Bound<'_, Self>) -> PyResult<()> {
        ArrayLease::give_back_of(slf.as_super().get())
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
            // Ended already, by release() or give_back(): what was raised goes on.
            let _ = ArrayLease::give_back_of(array);
            return Ok(());
        }
        let mut state = array.state();
        let lease = match std::mem::replace(&mut state.memory, Memory::Ended) {
            Memory::Lease(lease) => lease,
            other => {
                state.memory = other;
                return Ok(()); // By release() or give_back().
            }
        };
        if state.exports == 0 {
            return lease.ack().map_err(|error| errors::of_get(slf.py(), error));
        }
        state.memory = Memory::Done(lease.into_view().map_err(|error| errors::of_get(slf.py(), error))?);
        Ok(())
    }
}
