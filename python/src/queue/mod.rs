//! `Queue`: Python objects, pickled inside `put`, between processes.
//!
//! ```text
//!   __new__ --__init__, __setstate__--> open --close()--> closed here: put and get raise ValueError
//!                                        \--shutdown()--> closed for all: ShutDown, once drained
//! ```

mod inside;
mod many;

use crate::arguments::truth;
use crate::errors;
use crate::handle::{self, Slot};
use crate::interrupt;
use crate::lease::Lease;
use crate::pickle::{self, Pickle};
use crate::ring::{self, Ring, UNBOUNDED};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};
use shmq::MessageLayout;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// What the segment says of its messages, so that no program takes pickles for something else.
fn pickles() -> MessageLayout {
    MessageLayout::encoded().type_name("object as pickle")
}

/// A queue of Python objects between processes, in shared memory: the verbs of queue.Queue, and no
/// process that dies hangs the others.
///
/// maxsize: how many objects fit, exactly. 0: as many as capacity_bytes has room for.
/// name: programs that give the same name meet in one queue, in whatever order they start. Without
///     a name it is for child processes, and for whatever process it is sent to.
/// capacity_bytes: memory for pickled objects, 1 MiB if not given. A put beyond it waits, as one beyond
///     maxsize does.
/// max_spilled_bytes: memory for objects that are larger than half of that, each in a file of its own
///     in shared memory: half of the memory there is if not given. 0: put raises ValueError for them.
/// max_deliveries, dead_letters: an object that was leased so often and always came back is given
///     up, to the DeadLetters of that name.
/// persist: the queue stays when its last user leaves, until Queue.unlink(name).
///
/// Raises OSError where there is no memory for it, ValueError for a name that cannot be one, or
/// that has another kind of queue, PermissionError where another user has the name.
///
/// The queue lives as long as a process has it open, and its name with it. If a process is killed,
/// what it had put stays, what it had taken by get() is lost, and what it had on lease comes back.
/// Handles pickle, at any time; one on its way keeps nothing alive.
///
///     >>> q = shmq.Queue(3)
///     >>> q.put("job")
///     >>> q.qsize(), q.full()
///     (1, False)
///     >>> q.get()
///     'job'
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

    /// The queue of that name, which another process created.
    ///
    /// timeout: how long to wait until it is created, in seconds; None waits for ever.
    ///
    /// Raises FileNotFoundError if there is none, TimeoutError if there was none in time,
    /// ValueError if the name is that of something else, PermissionError if it is another user's.
    ///
    ///     >>> q = shmq.Queue(name="help-open")
    ///     >>> shmq.Queue.open("help-open", timeout=5).put("job")
    ///     >>> q.get()
    ///     'job'
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

    /// Removes a name. Processes that have the queue open go on with it; the next that gives the
    /// name makes another queue. Raises FileNotFoundError if there is no such name.
    ///
    ///     >>> q = shmq.Queue(name="help-unlink", persist=True)
    ///     >>> shmq.Queue.unlink("help-unlink")
    #[staticmethod]
    fn unlink(name: &str) -> PyResult<()> {
        Ring::unlink(name).map_err(errors::of_open)
    }

    /// Pickles obj and puts it.
    ///
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait for room, in
    /// seconds; None waits for ever.
    ///
    /// Raises queue.Full if there was no room in time; ShutDown if the queue was shut down;
    /// ValueError if this handle was closed, or the pickle is larger than the queue allows;
    /// whatever pickling raises. Then nothing is put.
    ///
    /// When it returns the object is in shared memory, and stays there until it is taken, whichever
    /// processes are killed. There is no feeder thread, and nothing to flush. If this process is
    /// killed in put(), all of the object is put, or nothing.
    ///
    ///     >>> q = shmq.Queue(1)
    ///     >>> q.put({"id": 7})
    ///     >>> q.put("more", timeout=0.01)
    ///     Traceback (most recent call last):
    ///     queue.Full
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

    /// put(obj, block=False): queue.Full at once if there is no room.
    ///
    ///     >>> shmq.Queue(1).put_nowait("job")
    fn put_nowait(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        Queue::put(slf, obj, false, None)
    }

    /// Takes the next object and returns it.
    ///
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait for an
    /// object, in seconds; None waits for ever.
    ///
    /// Raises queue.Empty if none came in time; ShutDown if the queue was shut down and is drained;
    /// ValueError if this handle was closed; what unpickling raises, and then the object is gone.
    ///
    /// At most once: the object goes with the process that took it. If this one may die before the
    /// work is done, take it by lease(), which gives it to another process then. A process that is
    /// killed while it waits in get() takes nothing, and holds up no other. A signal's handler runs
    /// within 0.1 s; if it raises, as Ctrl-C does, nothing was taken.
    ///
    ///     >>> q = shmq.Queue()
    ///     >>> q.put("job")
    ///     >>> q.get(timeout=5)
    ///     'job'
    ///     >>> q.get(block=False)
    ///     Traceback (most recent call last):
    ///     _queue.Empty
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

    /// get(block=False): queue.Empty at once if there is no object.
    ///
    ///     >>> shmq.Queue().get_nowait()
    ///     Traceback (most recent call last):
    ///     _queue.Empty
    fn get_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Queue::get(slf, false, None)
    }

    /// Takes the next object so that it is done only at the end of a block: `with q.lease() as obj:
    /// ...`.
    ///
    /// block: False makes it one try. timeout: how long to wait for an object, in seconds; None
    /// waits for ever. Raises what get() raises.
    /// An object that cannot be loaded is taken, unless max_deliveries says how often it comes back.
    ///
    /// At least once: if the block raises, or its process is killed in it, the object comes back,
    /// before newer ones, and Lease.deliveries counts. Make the work such that it may be done
    /// twice.
    ///
    ///     >>> q = shmq.Queue()
    ///     >>> q.put("job")
    ///     >>> with q.lease() as job:
    ///     ...     raise RuntimeError(job)
    ///     Traceback (most recent call last):
    ///     RuntimeError: job
    ///     >>> q.lease().deliveries
    ///     2
    #[pyo3(signature = (block=true, timeout=None))]
    fn lease(slf: &Bound<'_, Self>, #[pyo3(from_py_with = truth)] block: bool, timeout: Option<f64>) -> PyResult<Lease> {
        let (py, ring) = (slf.py(), Queue::ring_in_use(slf)?);
        Lease::new(py, ring::lease(py, ring, block, timeout)?, ring.max_deliveries() != 0)
    }

    /// How many objects are in the queue: exact at the instant it is read. Those on lease do not
    /// count. Never waits.
    ///
    ///     >>> q = shmq.Queue(); q.put("job"); q.qsize()
    ///     1
    fn qsize(&self) -> PyResult<usize> {
        Ok(self.ring()?.len())
    }

    /// Is there nothing to get? Exact at the instant it is read: what a process has put, it sees.
    /// Never waits.
    ///
    ///     >>> q = shmq.Queue(); q.put("job"); q.empty()
    ///     False
    fn empty(&self) -> PyResult<bool> {
        Ok(self.ring()?.is_empty())
    }

    /// Would a put have to wait now? Exact at the instant it is read. Never waits.
    ///
    ///     >>> q = shmq.Queue(1); q.put("job"); q.full()
    ///     True
    fn full(&self) -> PyResult<bool> {
        Ok(self.ring()?.is_full())
    }

    /// Ends this handle: put and get raise ValueError from now on. Other processes, and other
    /// handles, do not change, and what was put stays. shutdown() ends the queue for all.
    ///
    ///     >>> q = shmq.Queue(); q.close()
    ///     >>> q.get()
    ///     Traceback (most recent call last):
    ///     ValueError: Queue ... is closed
    fn close(&self) {
        self.is_closed.store(true, Relaxed);
    }

    /// Ends the queue for all processes: put raises ShutDown, and get too once the queue is
    /// drained. Calls that wait wake up. Once is enough, by any process, and it cannot be undone.
    ///
    /// immediate: True drains it at once.
    ///
    ///     >>> q = shmq.Queue(); q.put("last"); q.shutdown()
    ///     >>> list(q)
    ///     ['last']
    #[pyo3(signature = (immediate=false))]
    fn shutdown(&self, immediate: bool) -> PyResult<()> {
        ring::shut_down(self.ring()?, immediate);
        Ok(())
    }

    /// Does nothing, since there is no feeder thread: for programs of multiprocessing.
    /// AssertionError before close(), as there.
    ///
    ///     >>> q = shmq.Queue(); q.close(); q.join_thread()
    fn join_thread(&self) -> PyResult<()> {
        match self.is_closed.load(Relaxed) {
            true => Ok(()),
            false => Err(pyo3::exceptions::PyAssertionError::new_err("the queue is not closed")),
        }
    }

    /// Does nothing, since there is no feeder thread: for programs of multiprocessing.
    ///
    ///     >>> shmq.Queue().cancel_join_thread()
    fn cancel_join_thread(&self) {}

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
