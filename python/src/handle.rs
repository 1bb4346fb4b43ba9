//! What all classes over a segment have in common: they are opened by `__init__` or `__setstate__`,
//! and pickled as the crate's handle.

use crate::errors;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::OnceLock;

/// Empty between `__new__` and `__init__`, or `__setstate__`: a subclass may have an `__init__` of its
/// own, with other arguments.
pub struct Slot<T>(OnceLock<T>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot::new()
    }
}

impl<T> Slot<T> {
    pub const fn new() -> Slot<T> {
        Slot(OnceLock::new())
    }

    pub fn set(&self, value: T) -> PyResult<()> {
        self.0.set(value).map_err(|_| PyRuntimeError::new_err("it is open already"))
    }

    #[inline]
    pub fn get(&self) -> PyResult<&T> {
        self.0.get().ok_or_else(|| PyRuntimeError::new_err("__init__() was not called"))
    }

    pub fn if_set(&self) -> Option<&T> {
        self.0.get()
    }
}

pub fn to_bytes<'py, T: Serialize>(py: Python<'py>, handle: &T) -> PyResult<Bound<'py, PyBytes>> {
    match postcard::to_allocvec(handle) {
        Ok(bytes) => Ok(PyBytes::new(py, &bytes)),
        Err(error) => Err(errors::Error::new_err(error.to_string())),
    }
}

pub fn from_bytes<T: DeserializeOwned>(bytes: &Bound<'_, PyBytes>) -> PyResult<T> {
    postcard::from_bytes(bytes.as_bytes()).map_err(errors::of_handle)
}

/// `class[item]`, for annotations.
pub fn generic_alias(class: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    Ok(class.py().import("types")?.getattr("GenericAlias")?.call1((class, item))?.unbind())
}
