//! The compiled part of the Python package `shmq`, over the public API of the crate of that name.
//!
//! | question | file |
//! |---|---|
//! | how does a call wait, and when do signal handlers run? | `interrupt` |
//! | how does a verb try, and wait? | `ring` |
//! | how does an object become bytes? | `pickle` |
//! | how is an array written and read in place? | `arrays` |
//! | which exception is which error? | `errors` |
//! | what is logged, and where? | `events` |
//! | how is an argument taken? | `arguments` |

mod arguments;
mod arrays;
mod bytes_queue;
mod errors;
mod events;
mod handle;
mod in_place;
mod interrupt;
mod lease;
mod letters;
mod pickle;
mod queue;
mod readiness;
mod ring;
mod role;
mod sync;
mod tasks;
mod topic;

/// The compiled part of the package shmq. Use `shmq`.
#[pyo3::pymodule]
mod _shmq {
    #[pymodule_export]
    use super::arrays::{Array, ArrayLease, ArrayLoan, ArraySample};
    #[pymodule_export]
    use super::bytes_queue::BytesQueue;
    #[pymodule_export]
    use super::errors::{Error, Lagged};
    #[pymodule_export]
    use super::in_place::{BytesLease, BytesLoan};
    #[pymodule_export]
    use super::lease::Lease;
    #[pymodule_export]
    use super::letters::{DeadLetter, DeadLetters};
    #[pymodule_export]
    use super::queue::Queue;
    #[pymodule_export]
    use super::role::{Role, Taken};
    #[pymodule_export]
    use super::sync::{Condvar, Event, Lock, RLock, Semaphore};
    #[pymodule_export]
    use super::tasks::{Task, Tasks};
    #[pymodule_export]
    use super::topic::{Publisher, Subscriber, Topic};
    use pyo3::exceptions::PyImportError;
    use pyo3::ffi;
    use pyo3::prelude::*;
    use std::ffi::OsString;
    use std::sync::OnceLock;

    /// Called where the package is imported. A second interpreter of a process gets a copy of the module
    /// without any call of it, and would share its exceptions and picklers with the first: ImportError.
    #[pyfunction]
    fn enter_interpreter(py: Python<'_>) -> PyResult<()> {
        static ENTERED: OnceLock<i64> = OnceLock::new();
        // SAFETY: the thread is attached, so it has an interpreter.
        let this = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
        match this {
            -1 => Err(PyErr::fetch(py)),
            this if *ENTERED.get_or_init(|| this) == this => Ok(()),
            _ => Err(PyImportError::new_err("another interpreter of this process has imported shmq: there it stays")),
        }
    }

    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::events::install();
        Ok(())
    }

    /// Runs the command `shmq`; returns its exit code.
    #[pyfunction]
    fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        py.detach(|| shmq_cli::run(arguments))
    }

    /// Gives back the names of all that this process has open: the last act of one that ends by
    /// os._exit.
    #[pyfunction]
    fn leave(py: Python<'_>) {
        py.detach(shmq::process::leave);
    }
}
