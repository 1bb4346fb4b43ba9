//! Publishing: through a `Topic`, by lock, and through a `Publisher`, which has the put side.

use super::Topic;
use super::exclusive::{Exclusive, Taken};
use crate::arguments::truth;
use crate::arrays::{ArrayLoan, Description, Loaned};
use crate::errors;
use crate::handle;
use crate::interrupt::{self, Until};
use crate::pickle::Pickle;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyType;
use shmq::{DynPublisher, DynTopic, DynTopicLoan, PutError};
use std::io::IoSlice;
use std::time::Instant;

/// From here on other threads may run while bytes are copied.
const LONG_COPY: usize = 256 << 10;

/// What can publish.
pub trait Publishes: Sync {
    fn try_publish(&self, pieces: &[IoSlice<'_>]) -> Result<(), PutError>;
    fn publish(&self, pieces: &[IoSlice<'_>]) -> Result<(), PutError>;
    fn publish_deadline(&self, pieces: &[IoSlice<'_>], deadline: Instant) -> Result<(), PutError>;
    fn try_loan(&self, length: usize) -> Result<DynTopicLoan<'static>, PutError>;
    fn loan(&self, length: usize) -> Result<DynTopicLoan<'static>, PutError>;
    fn loan_deadline(&self, length: usize, deadline: Instant) -> Result<DynTopicLoan<'static>, PutError>;
}

macro_rules! publishes {
    ($handle:ty, $this:ident, $inner:expr) => {
        impl Publishes for $handle {
            fn try_publish(&$this, pieces: &[IoSlice<'_>]) -> Result<(), PutError> {
                $inner.try_publish_vectored(pieces)
            }
            fn publish(&$this, pieces: &[IoSlice<'_>]) -> Result<(), PutError> {
                $inner.publish_vectored(pieces)
            }
            fn publish_deadline(&$this, pieces: &[IoSlice<'_>], deadline: Instant) -> Result<(), PutError> {
                $inner.publish_vectored_deadline(pieces, deadline)
            }
            fn try_loan(&$this, length: usize) -> Result<DynTopicLoan<'static>, PutError> {
                $inner.try_loan_len_owned(length)
            }
            fn loan(&$this, length: usize) -> Result<DynTopicLoan<'static>, PutError> {
                $inner.loan_len_owned(length)
            }
            fn loan_deadline(&$this, length: usize, deadline: Instant) -> Result<DynTopicLoan<'static>, PutError> {
                $inner.loan_len_owned_deadline(length, deadline)
            }
        }
    };
}
publishes!(DynTopic, self, self);
publishes!(Taken<DynPublisher>, self, self.0);

/// Has a `try_` form said that the call must wait?
fn must_wait(error: &PutError) -> bool {
    error.is_full() || matches!(error, PutError::Busy)
}

fn publish(py: Python<'_>, to: &impl Publishes, object: &Bound<'_, PyAny>, block: bool, timeout: Option<f64>) -> PyResult<()> {
    let pickle = Pickle::of(object)?;
    let is_long = pickle.length() >= LONG_COPY;
    // By copy: a loan would exclude lossy subscribers of this process.
    let published = pickle.with_pieces(|pieces| {
        let published = if is_long { py.detach(|| to.try_publish(pieces)) } else { to.try_publish(pieces) };
        match published {
            Err(error) if block && must_wait(&error) => {
                let until = Until::after(timeout)?;
                interrupt::wait(py, || match until {
                    Until(None) => to.publish(pieces),
                    Until(Some(deadline)) => to.publish_deadline(pieces, deadline),
                })
            }
            published => Ok(published),
        }
    })?;
    published.map_err(|error| errors::of_put(py, error))
}

fn loan(
    py: Python<'_>,
    to: &impl Publishes,
    description: Description,
    block: bool,
    timeout: Option<f64>,
) -> PyResult<Py<ArrayLoan>> {
    let Some(length) = description.message_bytes() else { return Err(PyValueError::new_err("the array is too large")) };
    let lent = match to.try_loan(length) {
        Err(error) if block && must_wait(&error) => {
            let until = Until::after(timeout)?;
            interrupt::wait(py, || match until {
                Until(None) => to.loan(length),
                Until(Some(deadline)) => to.loan_deadline(length, deadline),
            })?
        }
        lent => lent,
    };
    ArrayLoan::of(py, Loaned::Topic(lent.map_err(|error| errors::of_put(py, error))?), description)
}

#[pymethods]
impl Topic {
    /// Pickles obj and publishes it to all subscribers.
    ///
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait, in seconds,
    /// while one of subscribe() lags a whole capacity behind; None waits for ever. It waits for
    /// none of subscribe_lossy(), nor for a subscriber that was killed.
    ///
    /// Raises queue.Full, which names the subscriber that lags; ShutDown if the topic was closed;
    /// ValueError if the pickle is larger than the topic allows; whatever pickling raises, and then
    /// nothing is published; Error while a Publisher of the topic lives. If this process dies, the
    /// object was published whole, or not at all.
    ///
    ///     >>> topic = shmq.Topic(); reader = topic.subscribe()
    ///     >>> topic.publish([1, 2], timeout=5); reader.get()
    ///     [1, 2]
    #[pyo3(signature = (obj, block=true, timeout=None))]
    fn publish(
        &self,
        py: Python<'_>,
        obj: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        publish(py, self.topic()?, obj, block, timeout)
    }

    /// Room for an array that is filled in place, and published at the end of the block: `with
    /// topic.loan(shape, dtype) as a: ...`, as Queue.loan.
    ///
    /// block and timeout, in seconds, and what it raises are those of publish(). Error, too, while
    /// this process has a lossy subscriber of the topic, which might read what is being written.
    ///
    ///     >>> topic = shmq.Topic(); reader = topic.subscribe()
    ///     >>> with topic.loan(2, "u1") as a:
    ///     ...     a[0], a[1] = 3, 4
    ///     >>> with reader.read_array() as a:
    ///     ...     print(a[0], a[1])
    ///     3 4
    #[pyo3(signature = (shape, dtype, block=true, timeout=None))]
    fn loan(
        &self,
        py: Python<'_>,
        shape: &Bound<'_, PyAny>,
        dtype: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Py<ArrayLoan>> {
        loan(py, self.topic()?, Description::of(shape, dtype)?, block, timeout)
    }

    /// The one publisher of the topic, which publishes faster: a context manager. Error while
    /// another one lives, of any process; one that was killed has freed the topic within 0.1 s.
    ///
    ///     >>> with (topic := shmq.Topic()).publisher() as publisher: publisher.publish("news")
    fn publisher(&self, py: Python<'_>) -> PyResult<Publisher> {
        let publisher = self.topic()?.publisher().map_err(|error| errors::of_put(py, error))?;
        Ok(Publisher { inner: Exclusive::new(publisher.with_stop(interrupt::stop())) })
    }
}

/// The one process that publishes to a topic, while it lives: a context manager. One thread at a time uses
/// it: Error if another one does.
#[pyclass(module = "shmq", frozen, weakref)]
pub struct Publisher {
    inner: Exclusive<DynPublisher>,
}

#[pymethods]
impl Publisher {
    /// Publishes as Topic.publish: timeout, in seconds, and what it raises are those of it. Error
    /// after close().
    ///
    ///     >>> with (topic := shmq.Topic()).publisher() as publisher: publisher.publish("news")
    #[pyo3(signature = (obj, block=true, timeout=None))]
    fn publish(
        &self,
        py: Python<'_>,
        obj: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        self.inner.with(|publisher| publish(py, publisher, obj, block, timeout))
    }

    /// Room for an array, as Topic.loan: timeout, in seconds, and what it raises are those of it.
    /// Error after close().
    ///
    ///     >>> with (topic := shmq.Topic()).publisher() as publisher:
    ///     ...     with publisher.loan(1, "u1") as a: a[0] = 3
    #[pyo3(signature = (shape, dtype, block=true, timeout=None))]
    fn loan(
        &self,
        py: Python<'_>,
        shape: &Bound<'_, PyAny>,
        dtype: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Py<ArrayLoan>> {
        let description = Description::of(shape, dtype)?;
        self.inner.with(|publisher| loan(py, publisher, description, block, timeout))
    }

    /// Ends it: others may publish again. The topic stays open. Once more does nothing.
    ///
    ///     >>> publisher = shmq.Topic().publisher(); publisher.close()
    fn close(&self) -> PyResult<()> {
        self.inner.end()
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyAny>) -> PyResult<()> {
        self.close()
    }

    #[classmethod]
    fn __class_getitem__(class: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        handle::generic_alias(class, item)
    }
}
