//! `Role`: what one thread at a time has, and gives up whatever interrupts it.
//!
//! A Python lock that is taken without waiting may stay locked for ever: a signal's handler may raise
//! behind the call that took it, before the `try` whose `finally` gives it up.
//!
//! Invariants:
//! 1. A `Taken` gives the role up once: at the end of its `with` block, or when it is dropped, as it is
//!    where the block was never entered.
//! 2. Whoever gives the role up while there is work writes to the descriptor afterwards.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Role(work, wakeup): a role that one thread at a time has. `wakeup` is an eventfd.
#[pyclass(module = "shmq._shmq", frozen)]
pub struct Role {
    /// The thread, or 0.
    owner: AtomicU64,
    work: Py<PyDict>,
    wakeup: i32,
}

fn this_thread() -> u64 {
    // SAFETY: the call has no preconditions. No thread is 0.
    unsafe { libc::pthread_self() as u64 }
}

impl Role {
    fn give_up(&self, py: Python<'_>, wakes: bool) {
        // SeqCst: a thread that adds work checks the role afterwards.
        self.owner.store(0, SeqCst);
        if wakes && !self.work.bind(py).is_empty() {
            let one = 1u64;
            // SAFETY: eight bytes, which an eventfd takes at once, or refuses where it would overflow.
            unsafe { libc::write(self.wakeup, (&raw const one).cast(), size_of::<u64>()) };
        }
    }
}

#[pymethods]
impl Role {
    #[new]
    fn new(work: Py<PyDict>, wakeup: i32) -> Role {
        Role { owner: AtomicU64::new(0), work, wakeup }
    }

    /// take(wakes=True) -> Taken: a context manager, whose `with` block is told whether it has the role.
    /// wakes: its end writes to the eventfd if there is work.
    #[pyo3(signature = (wakes=true))]
    fn take(slf: &Bound<'_, Self>, wakes: bool) -> Taken {
        let is_mine = slf.get().owner.compare_exchange(0, this_thread(), SeqCst, SeqCst).is_ok();
        Taken { role: slf.clone().unbind(), is_mine: AtomicBool::new(is_mine), wakes }
    }

    /// Has any thread it?
    fn is_taken(&self) -> bool {
        self.owner.load(SeqCst) != 0
    }

    /// Has this thread it?
    fn is_mine(&self) -> bool {
        self.owner.load(SeqCst) == this_thread()
    }
}

/// A try to take a role.
#[pyclass(module = "shmq._shmq", frozen)]
pub struct Taken {
    role: Py<Role>,
    is_mine: AtomicBool,
    wakes: bool,
}

impl Taken {
    /// Invariant 1.
    fn end(&self, py: Python<'_>) {
        if self.is_mine.swap(false, Relaxed) {
            self.role.get().give_up(py, self.wakes);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if *self.is_mine.get_mut() {
            Python::attach(|py| self.end(py));
        }
    }
}

#[pymethods]
impl Taken {
    fn __enter__(&self) -> bool {
        self.is_mine.load(Relaxed)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyAny>) {
        self.end(py);
    }
}
