//! `Lease`: an object that comes back unless it is done.

use crate::errors;
use crate::handle;
use crate::pickle;
use pyo3::PyTraverseError;
use pyo3::PyVisit;
use pyo3::exceptions::{PyException, PyMemoryError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyType;
use shmq::AckLease;
use std::sync::{Mutex, PoisonError};

/// An object on lease: done at the normal end of its `with` block, given back if the block raises
/// or its process dies. A lease that is dropped without an end gives its object back too. It
/// belongs to the process that took it: a child that inherits it cannot end it.
///
///     >>> q = shmq.Queue(); q.put("job")
///     >>> lease = q.lease()
///     >>> lease.value, lease.deliveries
///     ('job', 1)
///     >>> lease.done()
#[pyclass(module = "shmq", frozen, weakref)]
pub struct Lease {
    /// `None`: it has ended.
    lease: Mutex<Option<AckLease<'static, [u8]>>>,
    value: Py<PyAny>,
    deliveries: u32,
}

impl Lease {
    /// `gives_up`: does the queue give up what is delivered too often?
    pub fn new(py: Python<'_>, lease: AckLease<'static, [u8]>, gives_up: bool) -> PyResult<Lease> {
        let deliveries = lease.deliveries();
        match pickle::load(py, lease.to_vec()) {
            Ok(value) => Ok(Lease { lease: Mutex::new(Some(lease)), value: value.unbind(), deliveries }),
            Err(error) => {
                if is_of_the_object(py, &error) && !gives_up {
                    // It would come back for ever: as `get`, it takes it.
                    lease.ack().map_err(|error| errors::of_get(py, error))?;
                }
                Err(error)
            }
        }
    }

    fn end(&self) -> PyResult<AckLease<'static, [u8]>> {
        let lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner).take();
        lease.ok_or_else(|| PyRuntimeError::new_err("the lease has ended"))
    }
}

/// Was an object not loaded because of what it is? A Ctrl-C, or memory that ran out meanwhile, say
/// nothing of it: it comes back.
fn is_of_the_object(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyException>(py) && !error.is_instance_of::<PyMemoryError>(py)
}

#[pymethods]
impl Lease {
    /// The object may hold its lease: a cycle that nothing else holds is collected, and the object comes
    /// back.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.value)
    }

    /// The object.
    #[getter]
    fn value(&self, py: Python<'_>) -> Py<PyAny> {
        self.value.clone_ref(py)
    }

    /// Which delivery of the object this is: 1, or more if it came back.
    #[getter]
    fn deliveries(&self) -> u32 {
        self.deliveries
    }

    /// The object is taken, as by get(). RuntimeError if the lease has ended.
    ///
    ///     >>> q = shmq.Queue(); q.put("job"); q.lease().done(); q.empty()
    ///     True
    fn done(&self, py: Python<'_>) -> PyResult<()> {
        self.end()?.ack().map_err(|error| errors::of_get(py, error))
    }

    /// The object is delivered again, to any process, before newer ones. RuntimeError if the lease
    /// has ended.
    ///
    ///     >>> q = shmq.Queue(); q.put("job"); q.lease().give_back(); q.get()
    ///     'job'
    fn give_back(&self) -> PyResult<()> {
        self.end()?.give_back();
        Ok(())
    }

    fn __enter__(&self, py: Python<'_>) -> Py<PyAny> {
        self.value.clone_ref(py)
    }

    #[pyo3(signature = (class, _error, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        class: Option<&Bound<'_, PyAny>>,
        _error: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let Ok(lease) = self.end() else { return Ok(()) };
        match class {
            None => lease.ack().map_err(|error| errors::of_get(py, error)),
            Some(_) => {
                lease.give_back();
                Ok(())
            }
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let state = if self.lease.lock().unwrap_or_else(PoisonError::into_inner).is_some() { "" } else { " ended" };
        Ok(format!("<Lease of {}{state}>", self.value.bind(py).repr()?))
    }

    #[classmethod]
    fn __class_getitem__(class: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        handle::generic_alias(class, item)
    }
}
