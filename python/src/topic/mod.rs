//! `Topic`: objects that every subscriber sees.
//!
//! | question | file |
//! |---|---|
//! | how are objects and arrays published? | `publisher` |
//! | how are they read? | `subscriber` |
//! | which thread uses an endpoint? | `exclusive` |

mod exclusive;
mod publisher;
mod subscriber;

pub use exclusive::Exclusive;
pub use publisher::Publisher;
pub use subscriber::Subscriber;

use crate::errors;
use crate::handle::{self, Slot};
use crate::interrupt::{self, Until};
use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};
use pyo3::{Py, intern};
use shmq::{DynSubscriber, DynTopic, MessageLayout, SubscribeError, WaitSubscribersError};

fn pickles() -> MessageLayout {
    MessageLayout::encoded().type_name("object as pickle")
}

/// Those of dead processes stay in the segment until a publisher waits for them.
fn live_subscribers(topic: &DynTopic) -> usize {
    topic.subscribers().iter().filter(|subscriber| subscriber.is_alive).count()
}

/// A topic of Python objects between processes: every subscriber sees every object.
///
/// name: programs that give the same name meet in one topic, in whatever order they start.
/// capacity_bytes: memory for pickled objects, 1 MiB if not given; the largest object takes half.
/// history: as many of the last objects are for later subscribers too. persist: the topic stays
/// when its last user leaves, until Topic.unlink(name).
///
/// A publisher that is killed leaves no part of an object; a subscriber that is killed is waited
/// for no longer.
///
///     >>> topic = shmq.Topic()
///     >>> first, second = topic.subscribe(), topic.subscribe()
///     >>> topic.publish({"step": 1})
///     >>> first.get(), second.get()
///     ({'step': 1}, {'step': 1})
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
        Ok(Subscriber::of(subscriber.with_stop(interrupt::stop())))
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

    /// The topic of that name, which another process created. FileNotFoundError if there is none,
    /// ValueError if the name is that of something else.
    ///
    ///     >>> topic = shmq.Topic(name="help-topic")
    ///     >>> shmq.Topic.open("help-topic").subscribers
    ///     0
    #[classmethod]
    fn open(class: &Bound<'_, PyType>, name: &str) -> PyResult<Py<PyAny>> {
        let topic = DynTopic::open_as(name, pickles()).map_err(errors::of_open)?;
        let made = class.call_method1(intern!(class.py(), "__new__"), (class,))?;
        made.cast::<Topic>()?.get().slot.set(topic.with_stop(interrupt::stop()))?;
        Ok(made.unbind())
    }

    /// Removes a name. Processes that have the topic open go on with it. FileNotFoundError if there
    /// is no such name.
    ///
    ///     >>> topic = shmq.Topic(name="help-unlink-topic", persist=True)
    ///     >>> shmq.Topic.unlink("help-unlink-topic")
    #[staticmethod]
    fn unlink(name: &str) -> PyResult<()> {
        DynTopic::unlink(name).map_err(errors::of_open)
    }

    /// A subscriber that misses nothing from now on: publishers wait for it when it is a whole
    /// capacity behind, while its process lives. Error if there is no room for another one.
    ///
    ///     >>> topic = shmq.Topic(); reader = topic.subscribe()
    ///     >>> topic.publish("news"); reader.get()
    ///     'news'
    fn subscribe(&self) -> PyResult<Subscriber> {
        self.subscriber(self.topic()?.subscribe())
    }

    /// A subscriber that no publisher waits for. What it missed it knows: get() raises Lagged once.
    ///
    ///     >>> topic = shmq.Topic(); reader = topic.subscribe_lossy()
    ///     >>> topic.publish("old"); topic.publish("new"); reader.latest()
    ///     'new'
    fn subscribe_lossy(&self) -> PyResult<Subscriber> {
        self.subscriber(self.topic()?.subscribe_lossy())
    }

    /// Waits until there are n of subscribe(). timeout: how long, in seconds; None waits for ever.
    /// TimeoutError if there were fewer in time, ShutDown if the topic was closed.
    ///
    ///     >>> topic = shmq.Topic(); reader = topic.subscribe()
    ///     >>> topic.wait_subscribers(1, timeout=5)
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

    /// Ends the topic for all processes: publish() raises ShutDown, subscribers get what is left,
    /// and then ShutDown.
    ///
    ///     >>> topic = shmq.Topic(); reader = topic.subscribe(); topic.publish("last"); topic.close()
    ///     >>> list(reader)
    ///     ['last']
    fn close(&self) -> PyResult<()> {
        self.topic()?.close();
        Ok(())
    }

    /// How many subscribers there are, of live processes.
    #[getter]
    fn subscribers(&self) -> PyResult<usize> {
        Ok(live_subscribers(self.topic()?))
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
        Ok(format!("<{class} {:?}: {} subscribers>", topic.name(), live_subscribers(topic)))
    }

    #[classmethod]
    fn __class_getitem__(class: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        handle::generic_alias(class, item)
    }
}
