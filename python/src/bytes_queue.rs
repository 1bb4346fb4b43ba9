//! `BytesQueue`: messages of bytes, the crate's `Queue<[u8]>`, by copy and in place.

use crate::arguments::truth;
use crate::errors;
use crate::handle::{self, Slot};
use crate::in_place::{BytesLease, BytesLoan};
use crate::interrupt;
use crate::ring::{self, Ring, UNBOUNDED};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};
use shmq::{Form, MessageLayout};

/// Size, alignment and structural schema of a struct.
type Structure = (usize, usize, Option<String>);

/// Bytes, or values of a structure.
fn layout_of(structure: Option<Structure>) -> PyResult<MessageLayout> {
    let Some((size, align, text)) = structure else { return Ok(MessageLayout::of::<[u8]>()) };
    let layout = MessageLayout::value(size, align).map_err(|error| PyValueError::new_err(error.to_string()))?;
    match text {
        Some(text) => layout.structure(text).map_err(|error| PyValueError::new_err(error.to_string())),
        None => Ok(layout),
    }
}

/// A queue of bytes between processes: a Rust program opens it as Queue<[u8]>, by its name.
///
/// maxsize, name, capacity_bytes and persist are those of Queue. The largest message takes half of
/// capacity_bytes.
///
/// put() and get() copy; loan() and lease() write and read in the segment. If a process is killed,
/// what it had put stays, a loan of its is not put, and a lease of its comes back.
///
///     >>> q = shmq.BytesQueue(8)
///     >>> q.put(b"message")
///     >>> q.get()
///     b'message'
#[pyclass(module = "shmq", subclass, frozen, weakref)]
pub struct BytesQueue {
    slot: Slot<Ring>,
}

impl BytesQueue {
    fn ring(&self) -> PyResult<&Ring> {
        self.slot.get()
    }

    fn open_as(
        class: &Bound<'_, PyType>,
        name: &str,
        timeout: Option<f64>,
        layout: Option<MessageLayout>,
    ) -> PyResult<Py<PyAny>> {
        let py = class.py();
        let builder = || Ring::builder(layout.clone()).name(name);
        let ring = ring::open(py, timeout, || builder().open(), |deadline| builder().open_deadline(deadline))?;
        let queue = class.call_method1(intern!(py, "__new__"), (class,))?;
        queue.cast::<BytesQueue>()?.get().slot.set(ring.with_stop(interrupt::stop()))?;
        Ok(queue.unbind())
    }
}

/// The bytes of anything with a buffer in one piece.
fn bytes_of<R>(data: &Bound<'_, PyAny>, use_bytes: impl FnOnce(&[u8]) -> PyResult<R>) -> PyResult<R> {
    if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        return use_bytes(bytes.as_bytes());
    }
    let view = data.py().import("builtins")?.getattr("memoryview")?.call1((data,))?.call_method1("cast", ("B",))?;
    let buffer = PyBuffer::<u8>::get(&view)?;
    use_bytes(&buffer.to_vec(data.py())?)
}

#[pymethods]
impl BytesQueue {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(maxsize=0, *, name=None, capacity_bytes=None, persist=None)")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyAny>>) -> BytesQueue {
        BytesQueue { slot: Slot::new() }
    }

    #[pyo3(signature = (maxsize=0, *, name=None, capacity_bytes=None, persist=None, _structure=None))]
    fn __init__(
        &self,
        maxsize: isize,
        name: Option<&str>,
        capacity_bytes: Option<usize>,
        persist: Option<bool>,
        _structure: Option<Structure>,
    ) -> PyResult<()> {
        let (maxsize, is_struct) = (usize::try_from(maxsize).unwrap_or(0), _structure.is_some());
        let mut builder = Ring::builder(layout_of(_structure)?);
        if maxsize > 0 || !is_struct {
            builder = builder.capacity(if maxsize == 0 { UNBOUNDED } else { maxsize });
        }
        if let Some(bytes) = capacity_bytes {
            builder = builder.capacity_bytes(bytes);
        }
        if let Some(persist) = persist {
            builder = builder.persist(persist);
        }
        let ring = match name {
            Some(name) => builder.name(name).open_or_create(),
            None => builder.create(),
        };
        self.slot.set(ring.map_err(errors::of_create)?.with_stop(interrupt::stop()))
    }

    /// The queue of that name, which another process created, in Python or in Rust.
    ///
    /// timeout: how long to wait until it is created, in seconds; None waits for ever.
    ///
    /// Raises as Queue.open: FileNotFoundError, TimeoutError, ValueError, PermissionError.
    ///
    ///     >>> q = shmq.BytesQueue(name="help-bytes")
    ///     >>> shmq.BytesQueue.open("help-bytes").put(b"message")
    #[classmethod]
    #[pyo3(signature = (name, timeout=Some(0.0)), text_signature = "($cls, name, timeout=0.0)")]
    fn open(class: &Bound<'_, PyType>, name: &str, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        Self::open_as(class, name, timeout, Some(layout_of(None)?))
    }

    /// Opens a queue of values with the layout that its segment has.
    #[classmethod]
    #[pyo3(signature = (name, timeout=Some(0.0), structure=None), text_signature = "($cls, name, timeout=0.0, structure=None)")]
    fn _open_values(
        class: &Bound<'_, PyType>,
        name: &str,
        timeout: Option<f64>,
        structure: Option<Structure>,
    ) -> PyResult<Py<PyAny>> {
        let layout = structure.map(|structure| layout_of(Some(structure))).transpose()?;
        Self::open_as(class, name, timeout, layout)
    }

    /// What the segment says of its messages: size, alignment, structural schema. None of bytes.
    #[getter]
    fn _structure(&self) -> PyResult<Option<Structure>> {
        let layout = self.ring()?.layout();
        let is_value = layout.form() == Form::Value;
        Ok(is_value.then(|| (layout.size(), layout.align(), layout.structure_text().map(str::to_owned))))
    }

    /// Removes a name. Processes that have the queue open go on with it. FileNotFoundError if there
    /// is none.
    ///
    ///     >>> q = shmq.BytesQueue(name="help-unlink", persist=True)
    ///     >>> shmq.BytesQueue.unlink("help-unlink")
    #[staticmethod]
    fn unlink(name: &str) -> PyResult<()> {
        Ring::unlink(name).map_err(errors::of_open)
    }

    /// Puts a copy of data: bytes, or anything with a buffer.
    ///
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait for room, in
    /// seconds; None waits for ever.
    ///
    /// Raises queue.Full if there was no room in time, ShutDown if the queue was shut down,
    /// ValueError if data is larger than the queue allows. If this process is killed in put(), all
    /// of it is put, or nothing.
    ///
    ///     >>> q = shmq.BytesQueue(); q.put(memoryview(b"abc")[1:]); q.get()
    ///     b'bc'
    #[pyo3(signature = (data, block=true, timeout=None))]
    fn put(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let ring = self.ring()?;
        bytes_of(data, |bytes| ring::put(py, ring, bytes, block, timeout))
    }

    /// put(data, block=False): queue.Full at once if there is no room.
    ///
    ///     >>> shmq.BytesQueue().put_nowait(b"message")
    fn put_nowait(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.put(py, data, false, None)
    }

    /// Takes the next message and returns its bytes.
    ///
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait for a
    /// message, in seconds; None waits for ever.
    ///
    /// Raises queue.Empty if none came in time, ShutDown if the queue was shut down and is drained.
    ///
    /// At most once: the message goes with the process that took it. lease() gives it to another
    /// one if this one dies.
    ///
    ///     >>> q = shmq.BytesQueue(); q.put(b"message"); q.get(timeout=5)
    ///     b'message'
    #[pyo3(signature = (block=true, timeout=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &ring::get(py, self.ring()?, block, timeout)?))
    }

    /// get(block=False): queue.Empty at once if there is no message.
    ///
    ///     >>> shmq.BytesQueue().get_nowait()
    ///     Traceback (most recent call last):
    ///     _queue.Empty
    fn get_nowait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.get(py, false, None)
    }

    /// Room for a message of length bytes that is written in place: `with q.loan(n) as view: ...`,
    /// a writable memoryview.
    ///
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait for room, in
    /// seconds; None waits for ever. Raises what put() raises.
    ///
    /// The message is put at the end of the block. Nothing is put if the block raises, or its
    /// process dies in it, or another view of the memory, such as an array, is alive then
    /// (BufferError). view is dead after the block. Its bytes are what was there before: write all
    /// of them.
    ///
    ///     >>> q = shmq.BytesQueue()
    ///     >>> with q.loan(3) as view:
    ///     ...     view[:] = b"abc"
    ///     >>> q.get()
    ///     b'abc'
    #[pyo3(signature = (length, block=true, timeout=None))]
    fn loan(
        &self,
        py: Python<'_>,
        length: usize,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<BytesLoan> {
        Ok(BytesLoan::of(ring::loan(py, self.ring()?, length, block, timeout)?))
    }

    /// The next message, read in place: `with q.lease() as view: ...`, a read-only memoryview.
    ///
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait for a
    /// message, in seconds; None waits for ever. Raises what get() raises.
    ///
    /// The message is done at the end of the block, and view is dead then. What was made of it, an
    /// array or a slice, reads on: the room of the message, and of those behind it, is free once
    /// that is gone. So `del array` before the next lease() that may wait: a queue full of such
    /// messages takes no more.
    ///
    /// If the block raises, or its process dies in it, the message comes back, before newer ones.
    ///
    ///     >>> q = shmq.BytesQueue(); q.put(b"abc")
    ///     >>> with q.lease() as view:
    ///     ...     print(view[0])
    ///     97
    #[pyo3(signature = (block=true, timeout=None))]
    fn lease(&self, py: Python<'_>, #[pyo3(from_py_with = truth)] block: bool, timeout: Option<f64>) -> PyResult<BytesLease> {
        Ok(BytesLease::of(ring::lease(py, self.ring()?, block, timeout)?))
    }

    /// How many messages are in the queue: exact at the instant it is read. Never waits.
    ///
    ///     >>> q = shmq.BytesQueue(); q.put(b"abc"); q.qsize()
    ///     1
    fn qsize(&self) -> PyResult<usize> {
        Ok(self.ring()?.len())
    }

    /// Is there nothing to get? Exact at the instant it is read. Never waits.
    ///
    ///     >>> shmq.BytesQueue().empty()
    ///     True
    fn empty(&self) -> PyResult<bool> {
        Ok(self.ring()?.is_empty())
    }

    /// Would a put have to wait now, by the number of messages? Exact at the instant it is read.
    /// Never waits.
    ///
    ///     >>> q = shmq.BytesQueue(1); q.put(b"abc"); q.full()
    ///     True
    fn full(&self) -> PyResult<bool> {
        Ok(self.ring()?.is_full())
    }

    /// Ends the queue for all processes: put raises ShutDown, and get too once the queue is
    /// drained. Calls that wait wake up, in Rust too. immediate: True drains it at once.
    ///
    ///     >>> q = shmq.BytesQueue(); q.shutdown(); q.get()
    ///     Traceback (most recent call last):
    ///     shmq.ShutDown
    #[pyo3(signature = (immediate=false))]
    fn shutdown(&self, immediate: bool) -> PyResult<()> {
        ring::shut_down(self.ring()?, immediate);
        Ok(())
    }

    /// The name by which other processes open it. A queue without a name has one too.
    #[getter]
    fn name(&self) -> PyResult<&str> {
        Ok(self.ring()?.name())
    }

    fn __getstate__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        handle::to_bytes(py, self.ring()?)
    }

    fn __setstate__(&self, state: &Bound<'_, PyBytes>) -> PyResult<()> {
        self.slot.set(handle::from_bytes::<Ring>(state)?.with_stop(interrupt::stop()))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().qualname()?;
        let Some(ring) = slf.get().slot.if_set() else { return Ok(format!("<{class} not open>")) };
        Ok(format!("<{class} {:?}: {}>", ring.name(), ring.len()))
    }
}
