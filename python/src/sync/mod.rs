//! Primitives beside queues, with the verbs of `multiprocessing`'s.
//!
//! Each verb tries while it is attached to the interpreter, then detaches and waits once.

mod condition;
mod event;
mod lock;
mod rlock;
mod semaphore;

pub use condition::Condvar;
pub use event::Event;
pub use lock::Lock;
pub use rlock::RLock;
pub use semaphore::Semaphore;

use crate::errors;
use crate::events;
use crate::interrupt::{self, Until};
use pyo3::prelude::*;
use shmq::sync::SyncError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// Was it logged that an owner of a lock died? Logged once it is released: a handler of `logging` may want
/// the lock.
#[derive(Default)]
struct Reported(AtomicBool);

impl Reported {
    /// Called by the owner of the lock.
    #[inline]
    fn check(&self, owner_died: bool, name: &str) {
        if owner_died != self.0.load(Relaxed) {
            self.0.store(owner_died, Relaxed);
            if owner_died {
                events::warn(format!("a process died that held a lock lock={name:?}"));
            }
        }
    }
}

/// `Some(value)`, or `None` if time ran out.
fn or_late<T>(outcome: Result<T, SyncError>) -> PyResult<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(SyncError::WouldBlock | SyncError::Busy | SyncError::Timeout) => Ok(None),
        Err(error) => Err(errors::of_sync(error)),
    }
}

/// Tries; then waits, if `block` says so, until `timeout`.
#[inline]
fn acquire<T: Send>(
    py: Python<'_>,
    block: bool,
    timeout: Option<f64>,
    try_once: impl FnOnce() -> Result<T, SyncError>,
    wait: impl Fn(Until) -> Result<T, SyncError> + Sync,
) -> PyResult<Option<T>> {
    match try_once() {
        Err(SyncError::WouldBlock | SyncError::Busy) if block => {
            let until = Until::after(timeout)?;
            or_late(interrupt::wait(py, || wait(until))?)
        }
        outcome => or_late(outcome),
    }
}

/// `__new__`, which takes whatever a subclass's `__init__` takes, and pickling. The signature is that
/// of `__init__`, for `help`.
macro_rules! primitive {
    ($class:ident, $inner:ty, $signature:literal) => {
        impl $class {
            pub(super) fn inner(&self) -> PyResult<&$inner> {
                self.slot.get()
            }
        }

        #[pymethods]
        impl $class {
            #[new]
            #[pyo3(signature = (*_arguments, **_keywords), text_signature = $signature)]
            fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyAny>>) -> $class {
                $class::default()
            }

            fn __getstate__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
                handle::to_bytes(py, self.inner()?)
            }

            fn __setstate__(&self, state: &Bound<'_, PyBytes>) -> PyResult<()> {
                self.slot.set(handle::from_bytes::<$inner>(state)?.with_stop(interrupt::stop()))
            }

            /// The name of its segment in shared memory.
            #[getter]
            fn _name(&self) -> PyResult<&str> {
                Ok(self.inner()?.name())
            }
        }
    };
}
use primitive;
