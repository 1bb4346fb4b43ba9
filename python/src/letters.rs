//! `DeadLetters`: what queues have given up, and `DeadLetter`, one object of them.

use crate::arguments::truth;
use crate::errors;
use crate::interrupt::{self, Until};
use crate::pickle;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shmq::GetError;
use std::time::UNIX_EPOCH;

/// Objects that queues have given up: Queue(max_deliveries=n, dead_letters=name) has them put here.
///
/// Opens the queue of that name, or creates it. While there is none, or it is full, what is given
/// up stays with the process that would put it here. capacity_bytes: its memory; it needs twice the
/// bytes of the largest object. It stays, with what it holds, until DeadLetters.unlink(name).
///
///     >>> letters = shmq.DeadLetters("help-letters")
///     >>> letters.empty()
///     True
///     >>> shmq.DeadLetters.unlink("help-letters")
#[pyclass(module = "shmq", frozen, weakref)]
pub struct DeadLetters {
    letters: shmq::DeadLetters,
}

#[pymethods]
impl DeadLetters {
    #[new]
    #[pyo3(signature = (name, capacity_bytes=1048576))]
    fn new(name: &str, capacity_bytes: usize) -> PyResult<DeadLetters> {
        let letters = shmq::DeadLetters::open_or_create(name, capacity_bytes).map_err(errors::of_create)?;
        Ok(DeadLetters { letters: letters.with_stop(interrupt::stop()) })
    }

    /// Removes a name. Processes that have it open go on with it. FileNotFoundError if there is no
    /// such name.
    #[staticmethod]
    fn unlink(name: &str) -> PyResult<()> {
        shmq::DeadLetters::unlink(name).map_err(errors::of_open)
    }

    /// Takes the next one. block: False makes it one try. timeout: how long to wait, in seconds;
    /// None waits for ever. Raises queue.Empty if none came in time.
    #[pyo3(signature = (block=true, timeout=None))]
    fn get(&self, py: Python<'_>, #[pyo3(from_py_with = truth)] block: bool, timeout: Option<f64>) -> PyResult<DeadLetter> {
        let got = match self.letters.try_get() {
            Err(GetError::Empty | GetError::Busy) if block => {
                let until = Until::after(timeout)?;
                interrupt::wait(py, || match until {
                    Until(None) => self.letters.get(),
                    Until(Some(deadline)) => self.letters.get_deadline(deadline),
                })?
            }
            got => got,
        };
        got.map(|letter| DeadLetter { letter }).map_err(|error| errors::of_get(py, error))
    }

    /// How many there are: exact at the instant it is read. Never waits.
    fn qsize(&self) -> usize {
        self.letters.len()
    }

    /// Is there nothing to get? Exact at the instant it is read. Never waits.
    fn empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Its name, for dead_letters of a Queue.
    #[getter]
    fn name(&self) -> &str {
        self.letters.name()
    }

    fn __repr__(&self) -> String {
        format!("<DeadLetters {:?}: {}>", self.letters.name(), self.letters.len())
    }
}

/// An object that a queue has given up.
#[pyclass(module = "shmq", frozen)]
pub struct DeadLetter {
    letter: shmq::DeadLetter,
}

#[pymethods]
impl DeadLetter {
    /// The object. Raises what loading it raises, each time it is called.
    fn load<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        pickle::load(py, self.letter.bytes.clone())
    }

    /// Its message: a pickle, of a Queue; the bytes, of a BytesQueue or a program in Rust.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.letter.bytes)
    }

    /// The name of the queue that it was in.
    #[getter]
    fn queue(&self) -> &str {
        &self.letter.queue
    }

    /// Why it was given up.
    #[getter]
    fn reason(&self) -> String {
        self.letter.reason.to_string()
    }

    /// How often it was delivered before.
    #[getter]
    fn deliveries(&self) -> u32 {
        self.letter.deliveries
    }

    /// When it was given up, as time.time() says it.
    #[getter]
    fn given_up(&self) -> f64 {
        self.letter.given_up.duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
    }

    fn __repr__(&self) -> String {
        let letter = &self.letter;
        format!("<DeadLetter of {:?}: {}, {} deliveries>", letter.queue, letter.reason, letter.deliveries)
    }
}
