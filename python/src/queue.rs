//! `Queue`: Python objects, pickled inside `put`, between processes.
//!
//! ```text
//!   __new__ --__init__, __setstate__--> open --close()--> closed here: put and get raise ValueError
//!                                        \--shutdown()--> closed for all: ShutDown, once drained
//! ```

use crate::arguments::truth;
use crate::errors;
use crate::handle::{self, Slot};
use crate::interrupt::{self, Until};
use crate::lease::Lease;
use crate::pickle::{self, Pickle};
use crate::readiness::Readiness;
use crate::ring::{self, Ring, UNBOUNDED};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple, PyType};
use shmq::MessageLayout;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What the segment says of its messages, so that no program takes pickles for something else.
fn pickles() -> MessageLayout {
    MessageLayout::encoded().type_name("object as pickle")
}

/// A queue of Python objects between processes, in shared memory: `queue.Queue`'s verbs, and no
/// process that dies hangs the others.
///
/// Queue(maxsize=0, *, name=None, capacity_bytes=None, max_spilled_bytes=None, max_deliveries=None, dead_letters=None,
///       persist=None)
///
/// maxsize: how many objects fit, exactly. 0: as many as capacity_bytes has room for.
/// name: programs that give the same name meet in one queue, in whatever order they start. Without
///     a name it is for child processes, and for whatever process it is sent to.
/// capacity_bytes: memory for pickled objects, 1 MiB if not given. A put beyond it waits, as one beyond
///     maxsize does.
/// max_spilled_bytes: memory for objects that are larger than half of that, each in a file of its own
///     in shared memory: half of the memory there is if not given. 0: put raises ValueError for them.
/// max_deliveries, dead_letters: an object that was leased so often and always came back is given
///     up, to the dead-letter queue of that name.
/// persist: the queue stays when its last user leaves, until Queue.unlink(name).
#[pyclass(name = "Queue", module = "shmq._shmq", subclass, frozen, weakref)]
pub struct Queue {
    open: Slot<Open>,
    is_closed: AtomicBool,
    /// Was anything put by this handle?
    is_used: AtomicBool,
    is_deferred: AtomicBool,
    deferred: Mutex<Option<PyErr>>,
}

struct Open {
    ring: Ring,
    maxsize: usize,
}

/// What a handle is pickled as: the crate's own form of it, and its bound.
type Sent<'py> = (Bound<'py, PyBytes>, usize);

impl Queue {
    fn set_open(&self, ring: &Ring, maxsize: usize) -> PyResult<()> {
        let ring = ring.with_stop(interrupt::stop());
        self.open.set(Open { ring, maxsize })
    }

    #[inline]
    fn state(&self) -> PyResult<&Open> {
        self.open.get()
    }

    fn ring(&self) -> PyResult<&Ring> {
        Ok(&self.state()?.ring)
    }

    /// The ring, for verbs that `close` ends.
    #[inline]
    pub fn ring_in_use<'q>(slf: &'q Bound<'_, Self>) -> PyResult<&'q Ring> {
        let this = slf.get();
        if this.is_closed.load(Relaxed) {
            return Err(PyValueError::new_err(format!("Queue {} is closed", slf.repr()?)));
        }
        this.ring()
    }

    pub fn mark_used(&self) {
        self.is_used.store(true, Relaxed);
    }

    #[inline]
    fn put_pickle(py: Python<'_>, ring: &Ring, pickle: &Pickle, block: bool, timeout: Option<f64>) -> PyResult<()> {
        if let Some(bytes) = pickle.bytes() {
            return ring::put(py, ring, bytes, block, timeout);
        }
        let mut loan = ring::loan(py, ring, pickle.length(), block, timeout)?;
        pickle.write(py, &mut loan);
        loan.commit().map_err(|error| errors::of_put(py, error))
    }

    /// What `get_many` could not load, behind objects that it returned.
    #[inline]
    fn raise_deferred(&self) -> PyResult<()> {
        if !self.is_deferred.load(Relaxed) {
            return Ok(());
        }
        self.is_deferred.store(false, Relaxed);
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    /// An object that could not be pickled: `_on_queue_feeder_error` decides, where a subclass has it.
    #[cold]
    fn not_pickled(slf: &Bound<'_, Self>, object: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
        let py = slf.py();
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        match slf.getattr_opt(intern!(py, "_on_queue_feeder_error"))? {
            Some(hook) => hook.call1((error, object)).map(drop),
            None => Err(error),
        }
    }
}

#[pymethods]
impl Queue {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(maxsize=0, *, name=None, capacity_bytes=None, \
        max_spilled_bytes=None, max_deliveries=None, dead_letters=None, persist=None)")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyAny>>) -> Queue {
        Queue {
            open: Slot::new(),
            is_closed: AtomicBool::new(false),
            is_used: AtomicBool::new(false),
            is_deferred: AtomicBool::new(false),
            deferred: Mutex::new(None),
        }
    }

    #[pyo3(signature = (
        maxsize=0, *, name=None, capacity_bytes=None, max_spilled_bytes=None, max_deliveries=None, dead_letters=None, persist=None
    ))]
    #[allow(clippy::too_many_arguments)] // Keywords.
    fn __init__(
        &self,
        maxsize: isize,
        name: Option<&str>,
        capacity_bytes: Option<usize>,
        max_spilled_bytes: Option<u64>,
        max_deliveries: Option<u32>,
        dead_letters: Option<&str>,
        persist: Option<bool>,
    ) -> PyResult<()> {
        let maxsize = usize::try_from(maxsize).unwrap_or(0);
        let mut builder = Ring::builder(pickles()).capacity(if maxsize == 0 { UNBOUNDED } else { maxsize });
        if let Some(bytes) = capacity_bytes {
            builder = builder.capacity_bytes(bytes);
        }
        if let Some(bytes) = max_spilled_bytes {
            builder = builder.max_spilled_bytes(bytes);
        }
        if let Some(deliveries) = max_deliveries {
            builder = builder.max_deliveries(deliveries);
        }
        if let Some(letters) = dead_letters {
            builder = builder.dead_letters(letters);
        }
        if let Some(persist) = persist {
            builder = builder.persist(persist);
        }
        let ring = match name {
            Some(name) => builder.name(name).open_or_create(),
            None => builder.create(),
        };
        self.set_open(&ring.map_err(errors::of_create)?, maxsize)
    }

    /// open(name, timeout=0): the queue of that name, which another process created.
    ///
    /// Waits for it to be created, for timeout seconds at most (None: for ever).
    /// FileNotFoundError, or TimeoutError after a timeout.
    #[classmethod]
    #[pyo3(signature = (name, timeout=Some(0.0)), text_signature = "($cls, name, timeout=0.0)")]
    fn open(class: &Bound<'_, PyType>, name: &str, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let py = class.py();
        let builder = || Ring::builder(pickles()).name(name);
        let ring = ring::open(py, timeout, || builder().open(), |deadline| builder().open_deadline(deadline))?;
        let queue = class.call_method1(intern!(py, "__new__"), (class,))?;
        let maxsize = match ring.capacity() {
            UNBOUNDED => 0,
            capacity => capacity,
        };
        queue.cast::<Queue>()?.get().set_open(&ring, maxsize)?;
        Ok(queue.unbind())
    }

    /// unlink(name): removes the name. Processes that have the queue open go on with it.
    #[staticmethod]
    fn unlink(name: &str) -> PyResult<()> {
        Ring::unlink(name).map_err(errors::of_open)
    }

    /// put(obj, block=True, timeout=None)
    ///
    /// Pickles obj and puts it. Waits while there is no room, for timeout seconds at most (None: for
    /// ever); queue.Full if there was none. block=False: one try, whatever the timeout.
    ///
    /// When it returns the object is in shared memory: it stays there, whichever processes are
    /// killed, until it is taken. There is no feeder thread, and nothing to flush.
    ///
    /// ValueError if this handle was closed, or the pickle is larger than the queue allows; ShutDown
    /// if the queue was shut down; whatever pickling raises, and then nothing is put.
    #[pyo3(signature = (obj, block=true, timeout=None))]
    fn put(
        slf: &Bound<'_, Self>,
        obj: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let ring = Queue::ring_in_use(slf)?;
        slf.get().is_used.store(true, Relaxed);
        match Pickle::of(obj) {
            Ok(pickle) => Queue::put_pickle(slf.py(), ring, &pickle, block, timeout),
            Err(error) => Queue::not_pickled(slf, obj, error),
        }
    }

    /// put_nowait(obj): put(obj, block=False)
    fn put_nowait(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        Queue::put(slf, obj, false, None)
    }

    /// get(block=True, timeout=None)
    ///
    /// Takes the next object. Waits while there is none, for timeout seconds at most (None: for
    /// ever); queue.Empty if none came. block=False: one try, whatever the timeout.
    ///
    /// At most once: the object goes with the process that took it. lease() gives it to another one
    /// if this one dies before the work is done.
    ///
    /// ValueError if this handle was closed; ShutDown if the queue was shut down and is drained.
    #[pyo3(signature = (block=true, timeout=None))]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let ring = Queue::ring_in_use(slf)?;
        slf.get().raise_deferred()?;
        pickle::load(py, ring::get(py, ring, block, timeout)?)
    }

    /// get_nowait(): get(block=False)
    fn get_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Queue::get(slf, false, None)
    }

    /// put_many(objects, block=True, timeout=None) -> int
    ///
    /// Puts all of them in order, waiting for room as often as needed, and returns how many: fewer than
    /// there are if time ran out. queue.Full if none was put. What pickling raises, and ShutDown, are
    /// raised whatever was put before.
    #[pyo3(signature = (objects, block=true, timeout=None))]
    fn put_many(
        slf: &Bound<'_, Self>,
        objects: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<usize> {
        let (py, ring, until) = (slf.py(), Queue::ring_in_use(slf)?, Until::after(timeout)?);
        slf.get().is_used.store(true, Relaxed);
        let mut count = 0;
        for object in objects.try_iter()? {
            let left = || until.0.map(|deadline| deadline.saturating_duration_since(Instant::now()).as_secs_f64());
            let put = Pickle::of(&object?).and_then(|pickle| Queue::put_pickle(py, ring, &pickle, block, left()));
            match put {
                Ok(()) => count += 1,
                Err(error) if count > 0 && errors::is_full(py, &error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// get_many(max, block=True, timeout=None) -> list
    ///
    /// Takes as many objects as there are, max at most; waits as get() does until there is one. One that
    /// cannot be loaded ends the list, and the next call raises why.
    #[pyo3(signature = (max, block=true, timeout=None))]
    fn get_many<'py>(
        slf: &Bound<'py, Self>,
        max: usize,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (py, ring) = (slf.py(), Queue::ring_in_use(slf)?);
        let objects = PyList::empty(py);
        if max == 0 {
            return Ok(objects);
        }
        slf.get().raise_deferred()?;
        objects.append(pickle::load(py, ring::get(py, ring, block, timeout)?)?)?;
        while objects.len() < max {
            let Ok(message) = ring.try_get() else { break };
            match pickle::load(py, message) {
                Ok(object) => objects.append(object)?,
                Err(error) => {
                    *slf.get().deferred.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    slf.get().is_deferred.store(true, Relaxed);
                    break;
                }
            }
        }
        Ok(objects)
    }

    /// lease(block=True, timeout=None) -> Lease
    ///
    /// Takes the next object so that it is done only at the end: `with q.lease() as obj: ...`. If the
    /// block raises, or its process is killed in it, the object comes back, before newer ones. Waits
    /// and raises as get() does.
    #[pyo3(signature = (block=true, timeout=None))]
    fn lease(slf: &Bound<'_, Self>, #[pyo3(from_py_with = truth)] block: bool, timeout: Option<f64>) -> PyResult<Lease> {
        let (py, ring) = (slf.py(), Queue::ring_in_use(slf)?);
        Lease::new(py, ring::lease(py, ring, block, timeout)?)
    }

    /// qsize() -> int: objects in the queue, exact at the instant it is read.
    fn qsize(&self) -> PyResult<usize> {
        Ok(self.ring()?.len())
    }

    /// empty() -> bool
    fn empty(&self) -> PyResult<bool> {
        Ok(self.ring()?.is_empty())
    }

    /// full() -> bool
    fn full(&self) -> PyResult<bool> {
        Ok(self.ring()?.is_full())
    }

    /// close(): ends this handle: put and get raise ValueError from now on. Other processes, and other
    /// handles, do not change: shutdown() ends the queue for all.
    fn close(&self) {
        self.is_closed.store(true, Relaxed);
    }

    /// shutdown(immediate=False)
    ///
    /// Ends the queue for all processes: put raises ShutDown, and get too once the queue is drained.
    /// Blocked calls wake up. immediate=True: drains it at once.
    #[pyo3(signature = (immediate=false))]
    fn shutdown(&self, immediate: bool) -> PyResult<()> {
        ring::shut_down(self.ring()?, immediate);
        Ok(())
    }

    /// join_thread(): does nothing, since there is no feeder thread.
    fn join_thread(&self) -> PyResult<()> {
        match self.is_closed.load(Relaxed) {
            true => Ok(()),
            false => Err(pyo3::exceptions::PyAssertionError::new_err("the queue is not closed")),
        }
    }

    /// cancel_join_thread(): does nothing, since there is no feeder thread.
    fn cancel_join_thread(&self) {}

    fn _task_done(&self) -> PyResult<()> {
        self.ring()?.task_done().map_err(errors::of_join)
    }

    #[pyo3(signature = (timeout=None))]
    fn _join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        ring::join(py, self.ring()?, timeout)
    }

    /// A descriptor that is readable once there is something to get.
    fn _readable(&self, py: Python<'_>) -> PyResult<Readiness> {
        self.ring()?.readable().map(Readiness::of).map_err(|error| errors::of_get(py, error))
    }

    /// A descriptor that is readable once there is room for a pickle of so many bytes.
    fn _writable(&self, py: Python<'_>, bytes: usize) -> PyResult<Readiness> {
        self.ring()?.writable_for(bytes).map(Readiness::of).map_err(|error| errors::of_put(py, error))
    }

    /// One try: None if it was put, or else the bytes that there is no room for.
    fn _try_put(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let (py, ring) = (slf.py(), Queue::ring_in_use(slf)?);
        slf.get().is_used.store(true, Relaxed);
        let pickle = Pickle::of(obj)?;
        match Queue::put_pickle(py, ring, &pickle, false, None) {
            Ok(()) => Ok(None),
            Err(error) if errors::is_full(py, &error) => Ok(Some(pickle.length())),
            Err(error) => Err(error),
        }
    }

    /// The name by which other processes open it. A queue without a name has one too.
    #[getter]
    fn name(&self) -> PyResult<&str> {
        Ok(self.ring()?.name())
    }

    /// How many objects fit; 0: as many as there is memory for.
    #[getter]
    fn maxsize(&self) -> PyResult<usize> {
        Ok(self.state()?.maxsize)
    }

    /// Was this handle closed?
    #[getter]
    fn _closed(&self) -> bool {
        self.is_closed.load(Relaxed)
    }

    /// Was anything put by this handle?
    #[getter]
    fn _is_used(&self) -> bool {
        self.is_used.load(Relaxed)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// The next object; the loop ends when the queue is shut down and drained.
    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match Queue::get(slf, true, None) {
            Err(error) if errors::is_shut_down(slf.py(), &error) => Ok(None),
            next => next.map(Some),
        }
    }

    fn __getstate__<'py>(&self, py: Python<'py>) -> PyResult<Sent<'py>> {
        let open = self.state()?;
        Ok((handle::to_bytes(py, &open.ring)?, open.maxsize))
    }

    /// Opens the queue that the handle was sent for. It must still have a user, or be persisted: a
    /// handle on its way keeps nothing alive.
    fn __setstate__(&self, state: Sent<'_>) -> PyResult<()> {
        let (handle, maxsize) = state;
        self.set_open(&handle::from_bytes(&handle)?, maxsize)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().qualname()?;
        let Some(open) = slf.get().open.if_set() else { return Ok(format!("<{class} not open>")) };
        let state = if slf.get().is_closed.load(Relaxed) { " closed" } else { "" };
        let bound = if open.maxsize == 0 { String::new() } else { format!(" of {}", open.maxsize) };
        Ok(format!("<{class} {:?}: {}{bound}{state}>", open.ring.name(), open.ring.len()))
    }

    #[classmethod]
    fn __class_getitem__(class: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        handle::generic_alias(class, item)
    }
}
