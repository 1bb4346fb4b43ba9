//! `Subscriber`: one that sees every object, by copy, in place, and for asyncio.

use super::exclusive::{Exclusive, Taken};
use crate::arguments::truth;
use crate::arrays::{ArraySample, Description, Sampled};
use crate::errors;
use crate::handle;
use crate::interrupt::{self, Until};
use crate::pickle;
use crate::readiness::Arrival;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyType;
use shmq::{DynOwnedSample, DynSubscriber, GetError};
use std::sync::{Arc, Mutex, PoisonError};

/// One that sees every object of a topic. It belongs to the process that subscribed, and one thread or
/// task at a time uses it: Error if another one does.
#[pyclass(module = "shmq", frozen, weakref)]
pub struct Subscriber {
    inner: Arc<Exclusive<DynSubscriber>>,
    /// What `read_array` found to be no array: the next object of `get`.
    given_back: Mutex<Option<Vec<u8>>>,
}

impl Subscriber {
    pub fn of(subscriber: DynSubscriber) -> Subscriber {
        Subscriber { inner: Arc::new(Exclusive::new(subscriber)), given_back: Mutex::new(None) }
    }

    fn take_given_back(&self) -> Option<Vec<u8>> {
        self.given_back.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn give_back(&self, message: Vec<u8>) -> PyErr {
        *self.given_back.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
        PyTypeError::new_err("the message is no array in one piece: it is the next one of get()")
    }
}

fn must_wait(error: &GetError) -> bool {
    matches!(error, GetError::Empty | GetError::Busy)
}

impl Taken<DynSubscriber> {
    fn next(&self, until: Until) -> Result<Vec<u8>, GetError> {
        match until {
            Until(None) => self.0.next(),
            Until(Some(deadline)) => self.0.next_deadline(deadline),
        }
    }
}

/// Reads in place, waiting: the sample, or why not, and the subscriber.
#[allow(clippy::result_large_err)] // The subscriber goes back where it was.
fn sample(
    py: Python<'_>,
    subscriber: DynSubscriber,
    block: bool,
    timeout: Option<f64>,
) -> Result<DynOwnedSample, (DynSubscriber, PyErr)> {
    let (subscriber, error) = match subscriber.try_into_sample() {
        Ok(sample) => return Ok(sample),
        Err(refused) => refused.into_parts(),
    };
    if !block || !must_wait(&error) {
        return Err((subscriber, errors::of_get(py, error)));
    }
    let until = match Until::after(timeout) {
        Ok(until) => until,
        Err(error) => return Err((subscriber, error)),
    };
    // Not in here while one try of the wait has it.
    let left = Mutex::new(Some(subscriber));
    let wait = || {
        let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
        let subscriber = left.take().expect("each try that fails brings it back");
        let tried = match until {
            Until(None) => subscriber.into_sample(),
            Until(Some(deadline)) => subscriber.into_sample_deadline(deadline),
        };
        tried.map_err(|refused| {
            let (subscriber, error) = refused.into_parts();
            *left = Some(subscriber);
            error
        })
    };
    let error = match interrupt::wait(py, wait) {
        Ok(Ok(sample)) => return Ok(sample),
        Ok(Err(error)) => errors::of_get(py, error),
        Err(raised) => raised,
    };
    let left = left.into_inner().unwrap_or_else(PoisonError::into_inner);
    Err((left.expect("each try that fails brings it back"), error))
}

#[pymethods]
impl Subscriber {
    /// The next object.
    ///
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait for an
    /// object, in seconds; None waits for ever.
    ///
    /// Raises queue.Empty if none came in time; ShutDown if the topic was closed and nothing is
    /// left; Lagged, once, from a lossy subscriber that was overtaken, which goes on with what is
    /// left. A publisher that was killed leaves no part of an object; the next one goes on.
    ///
    ///     >>> topic = shmq.Topic(); reader = topic.subscribe()
    ///     >>> topic.publish("news"); reader.get(timeout=5)
    ///     'news'
    #[pyo3(signature = (block=true, timeout=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(message) = self.take_given_back() {
            return pickle::load(py, message);
        }
        let got = self.inner.with(|subscriber| match subscriber.0.try_next() {
            Err(error) if block && must_wait(&error) => {
                let until = Until::after(timeout)?;
                interrupt::wait(py, || subscriber.next(until))
            }
            got => Ok(got),
        })?;
        pickle::load(py, got.map_err(|error| errors::of_get(py, error))?)
    }

    /// get(block=False): queue.Empty at once if there is no object.
    ///
    ///     >>> shmq.Topic().subscribe().get_nowait()
    ///     Traceback (most recent call last):
    ///     _queue.Empty
    fn get_nowait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.get(py, false, None)
    }

    /// The next array, read in place: `with sub.read_array() as a: ...`, read-only. What was
    /// published by loan(), and any numpy array in one piece, is one; TypeError for any other
    /// object, which is the next one of get().
    ///
    /// block, timeout, in seconds, and what it raises are those of get(); Error for a lossy
    /// subscriber, which publishers overwrite.
    ///
    /// Publishers wait for it when it is a whole capacity behind, also while its process is
    /// stopped; if that is killed, they go on within 0.1 s. It is passed at the end of the block,
    /// or once the last view of it is gone; until then every other call of this subscriber raises
    /// Error.
    ///
    ///     >>> import numpy
    ///     >>> topic = shmq.Topic(); reader = topic.subscribe(); topic.publish(numpy.arange(4))
    ///     >>> with reader.read_array() as a:
    ///     ...     print(numpy.asarray(a).sum())
    ///     6
    #[pyo3(signature = (block=true, timeout=None))]
    fn read_array(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Py<ArraySample>> {
        if let Some(message) = self.take_given_back() {
            return Err(self.give_back(message));
        }
        let subscriber = self.inner.take("an array of this subscriber is read in place")?;
        let sample = match sample(py, subscriber, block, timeout) {
            Ok(sample) => sample,
            Err((subscriber, error)) => {
                self.inner.bring_back(subscriber);
                return Err(error);
            }
        };
        match Description::read(&sample) {
            Some((description, begin)) => ArraySample::of(py, Sampled::new(sample, &self.inner), description, begin),
            None => {
                // A sample cannot be left unread: the message is kept here.
                let message = sample.to_vec();
                self.inner.bring_back(sample.into_subscriber());
                Err(self.give_back(message))
            }
        }
    }

    /// The newest object; those before it are passed, and never seen. Never waits: queue.Empty if
    /// there is none that is new.
    ///
    ///     >>> topic = shmq.Topic(); reader = topic.subscribe()
    ///     >>> topic.publish(1); topic.publish(2); reader.latest()
    ///     2
    fn latest<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let latest = self.inner.with(|subscriber| subscriber.0.latest().map_err(|error| errors::of_get(py, error)));
        match (latest, self.take_given_back()) {
            (Ok(message), _) => pickle::load(py, message),
            (Err(error), Some(message)) if errors::is_empty(py, &error) => pickle::load(py, message),
            (Err(error), kept) => {
                *self.given_back.lock().unwrap_or_else(PoisonError::into_inner) = kept;
                Err(error)
            }
        }
    }

    /// get() for asyncio: `await sub.get_async()`. No thread is blocked; a task that is cancelled
    /// has taken nothing.
    fn get_async<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("shmq._topics")?.getattr("get_async")?.call1((slf,))
    }

    fn __aiter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// The next object; the loop ends when the topic is closed and nothing is left.
    fn __anext__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("shmq._topics")?.getattr("next_async")?.call1((slf,))
    }

    /// For asyncio: has the subscriber until its end.
    fn _arrival(&self) -> PyResult<Arrival> {
        Arrival::of(&self.inner)
    }

    /// How many objects it did not see, exactly.
    #[getter]
    fn missed(&self) -> PyResult<u64> {
        self.inner.with(|subscriber| Ok(subscriber.0.missed()))
    }

    /// How many objects are before it.
    #[getter]
    fn lag(&self) -> PyResult<u64> {
        self.inner.with(|subscriber| Ok(subscriber.0.lag()))
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// The next object; the loop ends when the topic is closed and nothing is left.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.get(py, true, None) {
            Err(error) if errors::is_shut_down(py, &error) => Ok(None),
            next => next.map(Some),
        }
    }

    #[classmethod]
    fn __class_getitem__(class: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        handle::generic_alias(class, item)
    }
}
