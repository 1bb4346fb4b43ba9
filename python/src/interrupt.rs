//! Waiting beside an interpreter: a call of the crate waits once, detached, and signals are handled
//! meanwhile.
//!
//! ```text
//!   try, attached --nothing--> detach --> wait by STOP --message, timeout--> attach, return
//!                                          | EINTR, each 0.1 s (main thread): attach, run handlers
//!                                          \--a handler raised--> Interrupted --> raise it
//! ```
//!
//! Invariants:
//! 1. What a handler raised stays in `RAISED` until the call that it ended takes it: no Python code
//!    runs in between.
//! 2. It is raised by that call; or, if that call has an outcome all the same, which is not to be lost,
//!    right behind it.

use crate::errors;
use crate::events;
use pyo3::ffi;
use pyo3::prelude::*;
use shmq::Stop;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

thread_local! {
    /// What a signal handler raised on this thread.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
    /// The same, on its way to be raised behind a call.
    static BEHIND: Cell<Option<PyErr>> = const { Cell::new(None) };
}

/// The stop by which all calls of this process wait.
pub fn stop() -> &'static Stop {
    static STOP: OnceLock<Stop> = OnceLock::new();
    STOP.get_or_init(|| Stop::with_check(run_handlers))
}

/// Python runs the handlers of signals on its main thread alone, which is that of the process.
fn is_main_thread() -> bool {
    // SAFETY: the two calls have no preconditions.
    unsafe { libc::gettid() == libc::getpid() }
}

fn run_handlers() -> ControlFlow<()> {
    if !is_main_thread() {
        return ControlFlow::Continue(());
    }
    // `None`: a finalizer waits at the end of the interpreter, which handles no signals any more.
    let handled = Python::try_attach(|py| py.check_signals())
        .unwrap_or_else(|| Err(errors::Error::new_err("the interpreter is at its end: nothing waits any more")));
    match handled {
        Ok(()) => ControlFlow::Continue(()),
        Err(raised) => {
            RAISED.set(Some(raised));
            ControlFlow::Break(())
        }
    }
}

/// Until when a call waits: `None` is for ever.
#[derive(Clone, Copy)]
pub struct Until(pub Option<Instant>);

impl Until {
    /// From a Python timeout in seconds: `None` is for ever, zero and less is one try.
    pub fn after(timeout: Option<f64>) -> PyResult<Until> {
        match timeout {
            None => Ok(Until(None)),
            Some(seconds) if seconds.is_nan() => Err(pyo3::exceptions::PyValueError::new_err("timeout is not a number")),
            Some(seconds) => {
                let timeout = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
                Ok(Until(Instant::now().checked_add(timeout)))
            }
        }
    }
}

/// What a wait that was interrupted asks for.
pub trait Interruptible {
    fn is_interrupted(&self) -> bool;
}

macro_rules! interruptible {
    ($($error:ty),*) => {
        $(impl Interruptible for $error {
            fn is_interrupted(&self) -> bool {
                <$error>::is_interrupted(self)
            }
        })*
    };
}
interruptible!(shmq::PutError, shmq::GetError, shmq::JoinError, shmq::sync::SyncError);

impl Interruptible for shmq::WaitSubscribersError {
    fn is_interrupted(&self) -> bool {
        matches!(self, shmq::WaitSubscribersError::Interrupted)
    }
}

/// Calls `wait` detached from the interpreter. `Err` is what a signal handler raised.
pub fn wait<T, E>(py: Python<'_>, wait: impl Fn() -> Result<T, E> + Sync) -> PyResult<Result<T, E>>
where
    T: Send,
    E: Interruptible + Send,
{
    loop {
        let outcome = py.detach(&wait);
        let raised = RAISED.take();
        events::emit(py);
        match (outcome, raised) {
            (Err(error), Some(raised)) if error.is_interrupted() => return Err(raised),
            // Without anything raised, this is a child that a handler forked: it waits anew.
            (Err(error), None) if error.is_interrupted() => {}
            (outcome, None) => return Ok(outcome),
            (outcome, Some(raised)) => {
                raise_behind(py, raised);
                return Ok(outcome);
            }
        }
    }
}

/// Has the interpreter raise it where the call has returned (Invariant 2).
#[cold]
fn raise_behind(py: Python<'_>, raised: PyErr) {
    extern "C" fn raise(_: *mut c_void) -> c_int {
        // SAFETY: the interpreter calls this attached.
        let py = unsafe { Python::assume_attached() };
        match BEHIND.take() {
            Some(raised) => {
                raised.restore(py);
                -1
            }
            None => 0,
        }
    }
    BEHIND.set(Some(raised));
    // SAFETY: the function takes any pointer. It is called on this thread: the main one, where alone
    // handlers run.
    if unsafe { ffi::Py_AddPendingCall(Some(raise), std::ptr::null_mut()) } != 0 {
        // Others have filled the list.
        if let Some(raised) = BEHIND.take() {
            raised.write_unraisable(py, None);
        }
    }
}
