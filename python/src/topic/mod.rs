//! `Topic` and `Subscriber`: objects that every subscriber sees.

use crate::arguments::truth;
use crate::errors;
use crate::handle::{self, Slot};
use crate::interrupt::{self, Until};
use crate::pickle::{self, Pickle};
use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};
use pyo3::{Py, intern};
use shmq::{DynSubscriber, DynTopic, GetError, MessageLayout, PutError, SubscribeError, WaitSubscribersError};
use std::sync::{Mutex, PoisonError};

fn pickles() -> MessageLayout {
    MessageLayout::encoded().type_name("object as pickle")
}

/// A topic of Python objects between processes: every subscriber sees every object.
///
/// Topic(*, name=None, capacity_bytes=None, history=None, persist=None)
///
/// name: programs that give the same name meet in one topic, in whatever order they start.
/// capacity_bytes: memory for pickled objects, 1 MiB if not given; the largest object takes half.
/// history: as many of the last objects are for later subscribers too.
/// persist: the topic stays when its last user leaves, until Topic.unlink(name).
#[pyclass(module = "shmq", subclass, frozen, weakref)]
pub struct Topic {
    slot: Slot<DynTopic>,
}

impl Topic {
    fn topic(&self) -> PyResult<&DynTopic> {
        self.slot.get()
    }

    fn subscriber(&self, made: Result<DynSubscriber, SubscribeError>) -> PyResult<Subscriber> {
        let subscriber = made.map_err(|error| errors::Error::new_err(error.to_string()))?;
        Ok(Subscriber { inner: Mutex::new(Some(subscriber.with_stop(interrupt::stop()))) })
    }
}

#[pymethods]
impl Topic {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(*, name=None, capacity_bytes=None, history=None, persist=None)")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyAny>>) -> Topic {
        Topic { slot: Slot::new() }
    }

    #[pyo3(signature = (*, name=None, capacity_bytes=None, history=None, persist=None))]
    fn __init__(
        &self,
        name: Option<&str>,
        capacity_bytes: Option<usize>,
        history: Option<usize>,
        persist: Option<bool>,
    ) -> PyResult<()> {
        let mut builder = DynTopic::builder(pickles());
        if let Some(bytes) = capacity_bytes {
            builder = builder.capacity_bytes(bytes);
        }
        if let Some(objects) = history {
            builder = builder.history(objects);
        }
        if let Some(persist) = persist {
            builder = builder.persist(persist);
        }
        let topic = match name {
            Some(name) => builder.name(name).open_or_create(),
            None => builder.create(),
        };
        self.slot.set(topic.map_err(errors::of_create)?.with_stop(interrupt::stop()))
    }

    /// open(name): the topic of that name, which another process created. FileNotFoundError.
    #[classmethod]
    fn open(class: &Bound<'_, PyType>, name: &str) -> PyResult<Py<PyAny>> {
        let topic = DynTopic::open_as(name, pickles()).map_err(errors::of_open)?;
        let made = class.call_method1(intern!(class.py(), "__new__"), (class,))?;
        made.cast::<Topic>()?.get().slot.set(topic.with_stop(interrupt::stop()))?;
        Ok(made.unbind())
    }

    /// unlink(name): removes the name. Processes that have the topic open go on with it.
    #[staticmethod]
    fn unlink(name: &str) -> PyResult<()> {
        DynTopic::unlink(name).map_err(errors::of_open)
    }

    /// publish(obj, block=True, timeout=None)
    ///
    /// Pickles obj and publishes it to all subscribers. Waits while one of subscribe() lags a whole
    /// capacity behind, for timeout seconds at most (None: for ever); queue.Full names it then. Nobody
    /// waits for one of subscribe_lossy(). ShutDown if the topic was closed.
    #[pyo3(signature = (obj, block=true, timeout=None))]
    fn publish(
        &self,
        py: Python<'_>,
        obj: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let (topic, pickle) = (self.topic()?, Pickle::of(obj)?);
        let mut whole = Vec::new();
        let bytes = match pickle.bytes() {
            Some(bytes) => bytes,
            None => {
                // By copy: a loan would exclude lossy subscribers of this process.
                whole.resize(pickle.length(), 0);
                pickle.write(py, &mut whole);
                &whole
            }
        };
        let published = match topic.try_publish(bytes) {
            Err(error) if block && (error.is_full() || matches!(error, PutError::Busy)) => {
                let until = Until::after(timeout)?;
                interrupt::wait(py, || match until {
                    Until(None) => topic.publish(bytes),
                    Until(Some(deadline)) => topic.publish_deadline(bytes, deadline),
                })?
            }
            published => published,
        };
        published.map_err(|error| errors::of_put(py, error))
    }

    /// subscribe() -> Subscriber: one that misses nothing from now on; publishers wait for it.
    fn subscribe(&self) -> PyResult<Subscriber> {
        self.subscriber(self.topic()?.subscribe())
    }

    /// subscribe_lossy() -> Subscriber: one that is never waited for. What it missed it knows.
    fn subscribe_lossy(&self) -> PyResult<Subscriber> {
        self.subscriber(self.topic()?.subscribe_lossy())
    }

    /// wait_subscribers(n, timeout=None): until there are n of subscribe(). TimeoutError.
    #[pyo3(signature = (n, timeout=None))]
    fn wait_subscribers(&self, py: Python<'_>, n: usize, timeout: Option<f64>) -> PyResult<()> {
        let (topic, until) = (self.topic()?, Until::after(timeout)?);
        let found = interrupt::wait(py, || match until {
            Until(None) => topic.wait_subscribers(n, std::time::Duration::MAX),
            Until(Some(deadline)) => topic.wait_subscribers_deadline(n, deadline),
        })?;
        found.map_err(|error| match error {
            WaitSubscribersError::Timeout { .. } => PyTimeoutError::new_err(error.to_string()),
            WaitSubscribersError::Closed => errors::shut_down(py),
            error => errors::Error::new_err(error.to_string()),
        })
    }

    /// close(): ends the topic for all. Subscribers get what is left, and then ShutDown.
    fn close(&self) -> PyResult<()> {
        self.topic()?.close();
        Ok(())
    }

    /// How many subscribers there are.
    #[getter]
    fn subscribers(&self) -> PyResult<usize> {
        Ok(self.topic()?.subscribers().len())
    }

    /// The name by which other processes open it.
    #[getter]
    fn name(&self) -> PyResult<&str> {
        Ok(self.topic()?.name())
    }

    fn __getstate__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        handle::to_bytes(py, self.topic()?)
    }

    fn __setstate__(&self, state: &Bound<'_, PyBytes>) -> PyResult<()> {
        self.slot.set(handle::from_bytes::<DynTopic>(state)?.with_stop(interrupt::stop()))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().qualname()?;
        let Some(topic) = slf.get().slot.if_set() else { return Ok(format!("<{class} not open>")) };
        Ok(format!("<{class} {:?}: {} subscribers>", topic.name(), topic.subscribers().len()))
    }

    #[classmethod]
    fn __class_getitem__(class: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        handle::generic_alias(class, item)
    }
}

/// One that sees every object of a topic. It belongs to the process that subscribed.
#[pyclass(module = "shmq", frozen, weakref)]
pub struct Subscriber {
    /// Taken out while a call uses it.
    inner: Mutex<Option<DynSubscriber>>,
}

/// A subscriber that is taken out.
struct Exclusive(DynSubscriber);
// SAFETY: it is taken out of its mutex, so that this thread alone uses it: what runs detached from the
// interpreter runs on the same thread.
unsafe impl Sync for Exclusive {}

impl Subscriber {
    fn with<R>(&self, call: impl FnOnce(&Exclusive) -> PyResult<R>) -> PyResult<R> {
        let taken = self.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(subscriber) = taken else {
            return Err(errors::Error::new_err("another call, of another thread or of a signal handler, uses this subscriber"));
        };
        let subscriber = Exclusive(subscriber);
        let outcome = call(&subscriber);
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = Some(subscriber.0);
        outcome
    }
}

impl Exclusive {
    fn next(&self, until: Until) -> Result<Vec<u8>, GetError> {
        match until {
            Until(None) => self.0.next(),
            Until(Some(deadline)) => self.0.next_deadline(deadline),
        }
    }
}

#[pymethods]
impl Subscriber {
    /// get(block=True, timeout=None)
    ///
    /// The next object. Waits while there is none, for timeout seconds at most (None: for ever);
    /// queue.Empty if none came; ShutDown if the topic was closed and nothing is left. A lossy subscriber
    /// that was overtaken raises Lagged once, and goes on with what is left.
    #[pyo3(signature = (block=true, timeout=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let got = self.with(|subscriber| match subscriber.0.try_next() {
            Err(GetError::Empty | GetError::Busy) if block => {
                let until = Until::after(timeout)?;
                interrupt::wait(py, || subscriber.next(until))
            }
            got => Ok(got),
        })?;
        pickle::load(py, got.map_err(|error| errors::of_get(py, error))?)
    }

    /// get_nowait(): get(block=False)
    fn get_nowait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.get(py, false, None)
    }

    /// latest(): the newest object; those before it are passed. queue.Empty if there is none.
    fn latest<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let latest = self.with(|subscriber| subscriber.0.latest().map_err(|error| errors::of_get(py, error)))?;
        pickle::load(py, latest)
    }

    /// How many objects it did not see, exactly.
    #[getter]
    fn missed(&self) -> PyResult<u64> {
        self.with(|subscriber| Ok(subscriber.0.missed()))
    }

    /// How many objects are before it.
    #[getter]
    fn lag(&self) -> PyResult<u64> {
        self.with(|subscriber| Ok(subscriber.0.lag()))
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
