//! `ArraySample`: an array of a topic that is read where it lies.

use super::array::{Array, Memory, ended};
use super::message::Description;
use crate::topic::Exclusive;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use shmq::{DynOwnedSample, DynSubscriber};
use std::sync::Arc;

/// A sample, which brings its subscriber back when it ends.
pub struct Sampled {
    /// `None` once it has ended.
    sample: Option<DynOwnedSample>,
    home: Arc<Exclusive<DynSubscriber>>,
}

impl Sampled {
    pub fn new(sample: DynOwnedSample, home: &Arc<Exclusive<DynSubscriber>>) -> Sampled {
        Sampled { sample: Some(sample), home: Arc::clone(home) }
    }
}

impl Drop for Sampled {
    fn drop(&mut self) {
        if let Some(sample) = self.sample.take() {
            self.home.bring_back(sample.into_subscriber());
        }
    }
}

/// An array of a topic that is read in place: `with sub.read_array() as a: ...`, read-only. It is passed at
/// the end of the block, or once no view of it is alive.
#[pyclass(module = "shmq", extends = Array, frozen)]
pub struct ArraySample;

impl ArraySample {
    pub fn of(py: Python<'_>, sampled: Sampled, mut description: Description, begin: usize) -> PyResult<Py<ArraySample>> {
        description.is_read_only = true;
        let elements = sampled.sample.as_deref().map_or(&[][..], |sample| &sample[begin..]).as_ptr().cast_mut();
        let array = Array::of(description, elements, Memory::Sample(sampled));
        Py::new(py, PyClassInitializer::from(array).add_subclass(ArraySample))
    }

    /// Passes it, at once or once no view is alive.
    fn pass(array: &Array) {
        let mut state = array.state();
        match std::mem::replace(&mut state.memory, Memory::Ended) {
            Memory::Sample(sampled) if state.exports > 0 => state.memory = Memory::Passing(sampled),
            Memory::Sample(_) => {}
            other => state.memory = other,
        }
    }
}

#[pymethods]
impl ArraySample {
    /// It is passed. BufferError, and it stays a sample, if a view of it is alive.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        let array = slf.as_super().get();
        let state = array.state();
        let (is_open, is_viewed) = (matches!(state.memory, Memory::Sample(_)), state.exports > 0);
        drop(state);
        match is_open {
            false => Err(ended()),
            true if is_viewed => Err(PyBufferError::new_err("a view of the array is still alive")),
            true => {
                ArraySample::pass(array);
                Ok(())
            }
        }
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(slf: &Bound<'_, Self>, _error: &Bound<'_, PyAny>) {
        ArraySample::pass(slf.as_super().get());
    }
}
