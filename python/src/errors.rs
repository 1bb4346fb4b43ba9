//! Errors of the crate as exceptions: those of the standard library where it has one.

use pyo3::exceptions::{
    PyException, PyFileExistsError, PyFileNotFoundError, PyMemoryError, PyOSError, PyPermissionError, PyRuntimeError,
    PyTimeoutError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use shmq::sync::SyncError;
use shmq::{CreateError, GetError, JoinError, OpenError, PutError};
use std::io;

pyo3::create_exception!(
    shmq,
    Error,
    PyException,
    "A queue or a primitive cannot be used: it is corrupted, was taken from its process, or has no room for another one."
);

pyo3::create_exception!(
    shmq,
    Lagged,
    Error,
    "A lossy subscriber was overtaken: as many objects as its argument says were overwritten before it read them."
);

/// `queue.Full`, `queue.Empty`, and the exception of a queue that was shut down.
#[derive(Clone, Copy)]
enum Class {
    Full,
    Empty,
    ShutDown,
}

impl Class {
    /// The class itself, which is imported at first use.
    fn get(self, py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
        static CLASSES: [PyOnceLock<Py<PyType>>; 3] = [PyOnceLock::new(), PyOnceLock::new(), PyOnceLock::new()];
        let name = ["Full", "Empty", "ShutDown"][self as usize];
        CLASSES[self as usize].import(py, "shmq._exceptions", name).cloned()
    }

    fn raised(self, py: Python<'_>) -> PyErr {
        self.get(py).map_or_else(|error| error, |class| PyErr::from_type(class, ()))
    }

    fn raised_with(self, py: Python<'_>, text: String) -> PyErr {
        self.get(py).map_or_else(|error| error, |class| PyErr::from_type(class, (text,)))
    }

    fn is_class_of(self, py: Python<'_>, error: &PyErr) -> bool {
        self.get(py).is_ok_and(|class| error.get_type(py).is(&class))
    }
}

/// Is it an error of the ring itself, and not that there is no room, nor what a signal's handler raised?
pub fn is_of_ring(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<Error>(py)
        || error.is_instance_of::<PyValueError>(py)
        || error.is_instance_of::<PyOSError>(py)
        || error.is_instance_of::<PyMemoryError>(py)
        || Class::ShutDown.is_class_of(py, error)
}

pub fn is_full(py: Python<'_>, error: &PyErr) -> bool {
    Class::Full.is_class_of(py, error)
}

pub fn is_empty(py: Python<'_>, error: &PyErr) -> bool {
    Class::Empty.is_class_of(py, error)
}

pub fn shut_down(py: Python<'_>) -> PyErr {
    Class::ShutDown.raised(py)
}

pub fn is_shut_down(py: Python<'_>, error: &PyErr) -> bool {
    Class::ShutDown.is_class_of(py, error)
}

/// A pickled handle whose queue or primitive cannot be opened.
pub fn of_handle(error: postcard::Error) -> PyErr {
    PyFileNotFoundError::new_err(format!("the handle leads nowhere: {error}"))
}

fn os(error: &io::Error, text: String) -> PyErr {
    match error.raw_os_error() {
        Some(libc::ENOMEM) => PyMemoryError::new_err(text),
        Some(number) => PyOSError::new_err((number, text)),
        None => PyOSError::new_err(text),
    }
}

pub fn of_put(py: Python<'_>, error: PutError) -> PyErr {
    match error {
        PutError::Full | PutError::Timeout | PutError::Busy => Class::Full.raised(py),
        PutError::Gated { .. } | PutError::BehindLoan { .. } => Class::Full.raised_with(py, error.to_string()),
        PutError::Closed => Class::ShutDown.raised(py),
        PutError::NoSpace { .. } => PyOSError::new_err((libc::ENOSPC, error.to_string())),
        PutError::TooLarge { .. } | PutError::WrongLength { .. } | PutError::NotWhole { .. } => {
            PyValueError::new_err(error.to_string())
        }
        PutError::Os { ref source, .. } => os(source, error.to_string()),
        other => Error::new_err(other.to_string()),
    }
}

pub fn of_get(py: Python<'_>, error: GetError) -> PyErr {
    match error {
        GetError::Empty | GetError::Timeout | GetError::Busy => Class::Empty.raised(py),
        GetError::Closed => Class::ShutDown.raised(py),
        GetError::Lagged { missed } => Lagged::new_err(missed),
        GetError::Os { ref source, .. } => os(source, error.to_string()),
        other => Error::new_err(other.to_string()),
    }
}

pub fn of_join(error: JoinError) -> PyErr {
    match error {
        JoinError::TooManyDone => PyValueError::new_err("task_done() called too many times"),
        JoinError::Timeout { .. } => PyTimeoutError::new_err(error.to_string()),
        JoinError::Os { ref source, .. } => os(source, error.to_string()),
        other => Error::new_err(other.to_string()),
    }
}

pub fn of_create(error: CreateError) -> PyErr {
    let text = error.to_string();
    match &error {
        CreateError::AlreadyExists { .. } => PyFileExistsError::new_err(text),
        CreateError::PermissionDenied { .. } | CreateError::ForeignOwner { .. } => PyPermissionError::new_err(text),
        CreateError::BadName { .. } | CreateError::OutOfRange { .. } | CreateError::Mismatch { .. } => {
            PyValueError::new_err(text)
        }
        CreateError::NoSpace { .. } => PyOSError::new_err((libc::ENOSPC, text)),
        CreateError::Os { source, .. } => os(source, text),
        _ => Error::new_err(text),
    }
}

pub fn of_open(error: OpenError) -> PyErr {
    let text = error.to_string();
    match &error {
        OpenError::NotFound { .. } | OpenError::Replaced { .. } => PyFileNotFoundError::new_err(text),
        OpenError::PermissionDenied { .. } | OpenError::ForeignOwner { .. } => PyPermissionError::new_err(text),
        OpenError::BadName { .. } | OpenError::Mismatch { .. } => PyValueError::new_err(text),
        OpenError::Timeout { .. } => PyTimeoutError::new_err(text),
        OpenError::Os { source, .. } => os(source, text),
        _ => Error::new_err(text),
    }
}

pub fn of_sync(error: SyncError) -> PyErr {
    let text = error.to_string();
    match &error {
        SyncError::Os { source, .. } => os(source, text),
        SyncError::Broken => PyRuntimeError::new_err(text),
        _ => Error::new_err(text),
    }
}
