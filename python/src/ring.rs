//! The verbs of a ring, as all queues of this package use them.
//!
//! Invariants:
//! 1. No verb waits while it is attached to the interpreter: it tries, detaches and waits once
//!    (`interrupt`).

use crate::errors;
use crate::events;
use crate::interrupt::{self, Interruptible, Until};
use pyo3::prelude::*;
use shmq::{AckLease, DynLoan, DynQueue, GetError, JoinError, OpenError, PutError};
use std::time::{Duration, Instant};

/// What carries messages.
pub type Ring = DynQueue;

/// `maxsize=0`: the ring's bytes are the bound.
pub const UNBOUNDED: usize = u32::MAX as usize;

/// What `open` waits at a time: the crate's has no stop.
const SLICE: Duration = Duration::from_millis(100);

/// Waits, as a `try_` form has said that it must.
#[cold]
fn wait<T: Send, E: Interruptible + Send>(
    py: Python<'_>,
    timeout: Option<f64>,
    for_ever: impl Fn() -> Result<T, E> + Sync,
    by: impl Fn(Instant) -> Result<T, E> + Sync,
) -> PyResult<Result<T, E>> {
    match Until::after(timeout)? {
        Until(None) => interrupt::wait(py, for_ever),
        Until(Some(deadline)) => interrupt::wait(py, || by(deadline)),
    }
}

/// From here on other threads may run while bytes are copied.
pub const LONG_COPY: usize = 256 << 10;

#[inline]
pub fn put(py: Python<'_>, ring: &Ring, bytes: &[u8], block: bool, timeout: Option<f64>) -> PyResult<()> {
    let tried = if bytes.len() < LONG_COPY { ring.try_put(bytes) } else { py.detach(|| ring.try_put(bytes)) };
    let put = match tried {
        Err(PutError::Full | PutError::Busy) if block => {
            wait(py, timeout, || ring.put(bytes), |deadline| ring.put_deadline(bytes, deadline))?
        }
        put => put,
    };
    events::emit(py);
    put.map_err(|error| errors::of_put(py, error))
}

#[inline]
pub fn get(py: Python<'_>, ring: &Ring, block: bool, timeout: Option<f64>) -> PyResult<Vec<u8>> {
    let got = match ring.try_get() {
        Err(GetError::Empty | GetError::Busy) if block => {
            wait(py, timeout, || ring.get(), |deadline| ring.get_deadline(deadline))?
        }
        got => got,
    };
    events::emit(py);
    got.map_err(|error| errors::of_get(py, error))
}

pub fn lease(py: Python<'_>, ring: &Ring, block: bool, timeout: Option<f64>) -> PyResult<AckLease<'static, [u8]>> {
    let leased = match ring.try_lease_ack_owned() {
        Err(GetError::Empty | GetError::Busy) if block => {
            wait(py, timeout, || ring.lease_ack_owned(), |deadline| ring.lease_ack_owned_deadline(deadline))?
        }
        leased => leased,
    };
    events::emit(py);
    leased.map_err(|error| errors::of_get(py, error))
}

pub fn loan(py: Python<'_>, ring: &Ring, length: usize, block: bool, timeout: Option<f64>) -> PyResult<DynLoan<'static>> {
    let lent = match ring.try_loan_len_owned(length) {
        Err(PutError::Full | PutError::Busy) if block => {
            wait(py, timeout, || ring.loan_len_owned(length), |deadline| ring.loan_len_owned_deadline(length, deadline))?
        }
        lent => lent,
    };
    events::emit(py);
    lent.map_err(|error| errors::of_put(py, error))
}

pub fn join(py: Python<'_>, ring: &Ring, timeout: Option<f64>) -> PyResult<()> {
    let joined: Result<(), JoinError> = wait(py, timeout, || ring.join(), |deadline| ring.join_deadline(deadline))?;
    joined.map_err(errors::of_join)
}

/// How often a drain tries again, a millisecond each, while a stopped process holds the get side.
const BUSY_TRIES: u32 = 1000;

/// Ends the queue for all processes; `immediate`: and drains it.
pub fn shut_down(ring: &Ring, immediate: bool) {
    ring.close();
    let mut busy = 0;
    while immediate && busy < BUSY_TRIES {
        match ring.try_get() {
            // `join` waits for none of what nothing will deal with.
            Ok(_) => drop(ring.task_done()),
            Err(GetError::Busy) => busy += 1,
            Err(_) => return,
        }
    }
}

/// Opens by `try_open`, or by `open_deadline` where it is to wait.
pub fn open(
    py: Python<'_>,
    timeout: Option<f64>,
    try_open: impl FnOnce() -> Result<Ring, OpenError>,
    open_deadline: impl Fn(Instant) -> Result<Ring, OpenError> + Sync,
) -> PyResult<Ring> {
    if timeout.is_some_and(|seconds| seconds <= 0.0) {
        return try_open().map_err(errors::of_open);
    }
    let Until(deadline) = Until::after(timeout)?;
    loop {
        let slice = Instant::now() + SLICE;
        let until = deadline.map_or(slice, |deadline| deadline.min(slice));
        match py.detach(|| open_deadline(until)) {
            Err(error) if error.is_timeout() && deadline.is_none_or(|deadline| deadline > slice) => py.check_signals()?,
            opened => return opened.map_err(errors::of_open),
        }
    }
}
