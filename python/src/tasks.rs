//! `Tasks`: objects with a tag, for `Pool`: what workers are to do, and what came of it.
//!
//! ```text
//!   the object as any queue has it (pickle) | job:64 | number:64 | is_ok:8
//! ```
//!
//! The tag is apart from the object: an object that cannot be loaded still says which task it
//! belongs to, so that the task fails instead of its worker, or the thread that takes results.

use crate::errors;
use crate::handle::{self, Slot};
use crate::interrupt;
use crate::pickle::{self, Pickle};
use crate::ring::{self, Ring, UNBOUNDED};
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shmq::{AckLease, MessageLayout};
use std::sync::{Mutex, PoisonError};

const TAG_BYTES: usize = 17;

#[derive(Clone, Copy)]
struct Tag {
    job: i64,
    number: i64,
    is_ok: bool,
}

impl Tag {
    fn to_bytes(self) -> [u8; TAG_BYTES] {
        let mut bytes = [0; TAG_BYTES];
        bytes[..8].copy_from_slice(&self.job.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16] = u8::from(self.is_ok);
        bytes
    }

    /// The tag of a message, and the bytes of its object.
    fn split(message: &[u8]) -> PyResult<(Tag, &[u8])> {
        let Some((object, tag)) = message.split_last_chunk::<TAG_BYTES>() else {
            return Err(PyValueError::new_err("the message has no tag"));
        };
        let word = |at: usize| i64::from_le_bytes(std::array::from_fn(|n| tag[at + n]));
        Ok((Tag { job: word(0), number: word(8), is_ok: tag[16] != 0 }, object))
    }
}

/// A queue of objects with tags.
#[pyclass(module = "shmq._shmq", frozen, weakref)]
pub struct Tasks {
    open: Slot<Ring>,
}

/// An exception as a value, if it is one that programs expect.
fn returned(py: Python<'_>, error: PyErr) -> PyResult<Option<Bound<'_, PyAny>>> {
    match error.is_instance_of::<PyException>(py) {
        true => Ok(Some(error.into_value(py).into_bound(py).into_any())),
        false => Err(error),
    }
}

/// What `get` returns: job, number, is_ok, and the object, or why it could not be loaded.
type Got<'py> = (i64, i64, bool, Bound<'py, PyAny>);

fn got<'py>(py: Python<'py>, tag: Tag, loaded: PyResult<Bound<'py, PyAny>>) -> PyResult<Got<'py>> {
    match loaded {
        Ok(object) => Ok((tag.job, tag.number, tag.is_ok, object)),
        Err(error) if error.is_instance_of::<PyException>(py) => {
            Ok((tag.job, tag.number, false, error.into_value(py).into_bound(py).into_any()))
        }
        Err(error) => Err(error),
    }
}

#[pymethods]
impl Tasks {
    #[new]
    fn new() -> Tasks {
        Tasks { open: Slot::new() }
    }

    /// create(): a queue of its own. It is pickled as Queue is.
    #[staticmethod]
    fn create() -> PyResult<Tasks> {
        let tasks = Tasks::new();
        let layout = MessageLayout::encoded().type_name("task of a pool");
        let ring = Ring::builder(layout).capacity(UNBOUNDED).create().map_err(errors::of_create)?;
        tasks.open.set(ring.with_stop(interrupt::stop()))?;
        Ok(tasks)
    }

    /// put(job, number, is_ok, obj, block=True, timeout=None) -> why it was not put, or None
    ///
    /// As Queue.put. Full is raised, and what a signal's handler raises; what pickling raised, and any other
    /// error, is returned: so a caller knows one from the other.
    #[pyo3(signature = (job, number, is_ok, obj, block=true, timeout=None))]
    #[allow(clippy::too_many_arguments)] // A tag, and the arguments of Queue.put.
    fn put<'py>(
        &self,
        py: Python<'py>,
        job: i64,
        number: i64,
        is_ok: bool,
        obj: &Bound<'py, PyAny>,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let ring = self.open.get()?;
        let pickle = match Pickle::of(obj) {
            Ok(pickle) => pickle,
            Err(error) => return returned(py, error),
        };
        let length = pickle.bytes().map_or_else(|| pickle.length(), <[u8]>::len);
        let mut loan = match ring::loan(py, ring, length + TAG_BYTES, block, timeout) {
            Ok(loan) => loan,
            Err(error) if errors::is_of_ring(py, &error) => return returned(py, error),
            Err(error) => return Err(error),
        };
        let (object, tag) = loan.split_at_mut(length);
        match pickle.bytes() {
            Some(bytes) => object.copy_from_slice(bytes),
            None => pickle.write(py, object),
        }
        tag.copy_from_slice(&Tag { job, number, is_ok }.to_bytes());
        match loan.commit() {
            Ok(()) => Ok(None),
            Err(error) => returned(py, errors::of_put(py, error)),
        }
    }

    /// get(block=True, timeout=None) -> (job, number, is_ok, obj): waits and raises as Queue.get. An
    /// object that cannot be loaded is an exception, and not ok.
    #[pyo3(signature = (block=true, timeout=None))]
    fn get<'py>(&self, py: Python<'py>, block: bool, timeout: Option<f64>) -> PyResult<Got<'py>> {
        let mut message = ring::get(py, self.open.get()?, block, timeout)?;
        let (tag, object) = Tag::split(&message)?;
        let length = object.len();
        message.truncate(length);
        got(py, tag, pickle::load(py, message))
    }

    /// lease(block=True, timeout=None) -> Task: waits and raises as Queue.lease.
    #[pyo3(signature = (block=true, timeout=None))]
    fn lease(&self, py: Python<'_>, block: bool, timeout: Option<f64>) -> PyResult<Task> {
        let lease = ring::lease(py, self.open.get()?, block, timeout)?;
        let (tag, _) = Tag::split(&lease)?;
        Ok(Task { deliveries: lease.deliveries(), lease: Mutex::new(Some(lease)), tag })
    }

    /// shutdown(): as Queue.shutdown(immediate=True).
    fn shutdown(&self, py: Python<'_>) -> PyResult<()> {
        let ring = self.open.get()?;
        py.detach(|| ring::shut_down(ring, true));
        Ok(())
    }

    /// qsize() -> int
    fn qsize(&self) -> PyResult<usize> {
        Ok(self.open.get()?.len())
    }

    fn __getstate__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>,)> {
        Ok((handle::to_bytes(py, self.open.get()?)?,))
    }

    fn __setstate__(&self, state: (Bound<'_, PyBytes>,)) -> PyResult<()> {
        let ring: Ring = handle::from_bytes(&state.0)?;
        self.open.set(ring.with_stop(interrupt::stop()))
    }

    fn __repr__(&self) -> PyResult<String> {
        let ring = self.open.get()?;
        Ok(format!("<Tasks {:?}: {}>", ring.name(), ring.len()))
    }
}

/// A task on lease. It comes back if its worker dies, or drops it, before it is done.
#[pyclass(module = "shmq._shmq", frozen)]
pub struct Task {
    /// `None`: it is done.
    lease: Mutex<Option<AckLease<'static, [u8]>>>,
    tag: Tag,
    deliveries: u32,
}

#[pymethods]
impl Task {
    #[getter]
    fn job(&self) -> i64 {
        self.tag.job
    }

    #[getter]
    fn number(&self) -> i64 {
        self.tag.number
    }

    /// Which delivery of the task this is: 1, or more if workers died with it.
    #[getter]
    fn deliveries(&self) -> u32 {
        self.deliveries
    }

    /// load() -> its object
    fn load<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let bytes = {
            let lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
            let lease = lease.as_ref().ok_or_else(|| PyRuntimeError::new_err("the task is done"))?;
            Tag::split(lease)?.1.to_vec()
        };
        pickle::load(py, bytes)
    }

    /// read() -> (job, number, is_ok, obj): as Tasks.get returns it.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Got<'py>> {
        let loaded = match self.load(py) {
            // It may be what a signal's handler raised. Then it is raised here, and the task comes back.
            Err(error) => match self.load(py) {
                Ok(_) => return Err(error),
                again => again,
            },
            loaded => loaded,
        };
        got(py, self.tag, loaded)
    }

    /// done(): no worker gets it any more.
    fn done(&self, py: Python<'_>) -> PyResult<()> {
        match self.lease.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(lease) => lease.ack().map_err(|error| errors::of_get(py, error)),
            None => Ok(()),
        }
    }
}
