//! Descriptors for event loops: `Readiness` of a queue, `Arrival` of a subscriber's next message. Their
//! thread is the crate's: it runs no Python code.

use crate::errors;
use crate::pickle;
use crate::topic::Exclusive;
use pyo3::prelude::*;
use shmq::DynSubscriber;
use shmq::future::{self, Messages, Owned};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Readable once it is worth a try to get, or to put.
#[pyclass(module = "shmq._shmq", frozen)]
pub struct Readiness {
    inner: Mutex<future::Readiness>,
}

impl Readiness {
    pub fn of(inner: future::Readiness) -> Readiness {
        Readiness { inner: Mutex::new(inner) }
    }
}

#[pymethods]
impl Readiness {
    /// fileno() -> int
    fn fileno(&self) -> i32 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).as_raw_fd()
    }

    /// rearm() -> bool: waits again, unless it is worth a try now.
    fn rearm(&self, py: Python<'_>) -> PyResult<bool> {
        let rearmed = self.inner.lock().unwrap_or_else(PoisonError::into_inner).rearm();
        rearmed.map_err(|error| errors::of_get(py, error.into()))
    }
}

/// What wakes a task of asyncio: readable once it is worth a poll.
struct EventFd(OwnedFd);

impl EventFd {
    fn new() -> io::Result<EventFd> {
        // SAFETY: no preconditions.
        match unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: a new descriptor that nothing else has.
            descriptor => Ok(EventFd(unsafe { OwnedFd::from_raw_fd(descriptor) })),
        }
    }

    /// Makes it unreadable.
    fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes that are ours. It does not block, and what fails was not readable.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }
}

impl Wake for EventFd {
    fn wake(self: Arc<Self>) {
        let one = 1u64;
        // SAFETY: eight bytes that are ours. It fails only where it is readable already.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }
}

/// The next message of a subscriber, which it has until its end.
#[pyclass(module = "shmq._shmq", frozen)]
pub struct Arrival {
    home: Arc<Exclusive<DynSubscriber>>,
    messages: Mutex<Option<Messages<Owned<DynSubscriber>>>>,
    descriptor: Arc<EventFd>,
}

impl Arrival {
    pub fn of(home: &Arc<Exclusive<DynSubscriber>>) -> PyResult<Arrival> {
        let descriptor = Arc::new(EventFd::new()?);
        let subscriber = home.take("a task waits for the next object of this subscriber")?;
        Ok(Arrival { home: Arc::clone(home), messages: Mutex::new(Some(subscriber.into_stream())), descriptor })
    }

    fn bring_back(&self) {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(messages) = messages {
            self.home.bring_back(messages.into_inner());
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.bring_back();
    }
}

#[pymethods]
impl Arrival {
    fn fileno(&self) -> i32 {
        self.descriptor.0.as_raw_fd()
    }

    /// The message, or None: then the descriptor becomes readable once it is worth another poll.
    fn poll(&self, py: Python<'_>) -> PyResult<Option<Arrived>> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(messages) = &mut *messages else { return Ok(None) };
        // Before the poll: a wake that comes during it is not lost.
        self.descriptor.clear();
        let waker = Waker::from(Arc::clone(&self.descriptor));
        match messages.poll_get(&mut Context::from_waker(&waker)) {
            Poll::Pending => Ok(None),
            Poll::Ready(Ok(message)) => Ok(Some(Arrived { message: Mutex::new(Some(message)) })),
            Poll::Ready(Err(error)) => Err(errors::of_get(py, error)),
        }
    }

    /// Gives the subscriber back.
    fn end(&self) {
        self.bring_back();
    }
}

/// A message that a task has taken.
#[pyclass(module = "shmq._shmq", frozen)]
pub struct Arrived {
    message: Mutex<Option<Vec<u8>>>,
}

#[pymethods]
impl Arrived {
    /// The object, once.
    fn load<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let message = self.message.lock().unwrap_or_else(PoisonError::into_inner).take();
        pickle::load(py, message.unwrap_or_default())
    }
}
