//! An endpoint that one thread at a time may use: a publisher, a subscriber.
//!
//! ```text
//!   here --a call--> in use --its end--> here
//!        \--a sample, an await--> away --its end--> here
//! ```
//!
//! Invariants:
//! 1. An endpoint is here, or in one place elsewhere, which brings it back.

use crate::errors;
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};

enum Held<T> {
    Here(T),
    /// By a call, which ends.
    InUse,
    /// Why.
    Away(&'static str),
    Ended,
}

pub struct Exclusive<T>(Mutex<Held<T>>);

/// An endpoint that was taken out.
pub struct Taken<T>(pub T);
// SAFETY: it was taken out of its mutex, so that this thread alone uses it: what runs detached from the
// interpreter runs on the same thread.
unsafe impl<T: Send> Sync for Taken<T> {}

impl<T> Exclusive<T> {
    pub fn new(endpoint: T) -> Exclusive<T> {
        Exclusive(Mutex::new(Held::Here(endpoint)))
    }

    fn replace(&self, held: Held<T>) -> Held<T> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), held)
    }

    fn take_as(&self, left: Held<T>) -> PyResult<T> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let why = match &*held {
            Held::Here(_) => "",
            Held::InUse => "another call, of another thread or of a signal handler, uses it",
            Held::Away(why) => why,
            Held::Ended => "it has ended",
        };
        match std::mem::replace(&mut *held, left) {
            Held::Here(endpoint) => Ok(endpoint),
            other => {
                *held = other;
                Err(errors::Error::new_err(why))
            }
        }
    }

    /// Takes it for longer than a call: `why` is what other calls say meanwhile.
    pub fn take(&self, why: &'static str) -> PyResult<T> {
        self.take_as(Held::Away(why))
    }

    pub fn bring_back(&self, endpoint: T) {
        self.replace(Held::Here(endpoint));
    }

    /// Ends it. An error while it is elsewhere.
    pub fn end(&self) -> PyResult<()> {
        match self.take_as(Held::Ended) {
            Err(error) if !matches!(*self.0.lock().unwrap_or_else(PoisonError::into_inner), Held::Ended) => Err(error),
            _ => Ok(()),
        }
    }

    pub fn with<R>(&self, call: impl FnOnce(&Taken<T>) -> PyResult<R>) -> PyResult<R> {
        let endpoint = Taken(self.take_as(Held::InUse)?);
        let outcome = call(&endpoint);
        self.bring_back(endpoint.0);
        outcome
    }
}
