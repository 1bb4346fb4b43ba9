//! Arrays in place by a `Queue`.

use super::lease::ArrayLease;
use super::loan::{ArrayLoan, Loaned};
use super::message::Description;
use crate::arguments::truth;
use crate::queue::Queue;
use crate::ring;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pymethods]
impl Queue {
    /// Room for an array that is filled in place: `with q.loan((480, 640), "f4") as a: ...`.
    /// numpy.asarray(a) is a writable view of it. Its elements hold what was there before: fill all
    /// of them.
    ///
    /// shape: an int, or several. dtype: numpy's, a string of it ("f4", "float32", "bfloat16"), or
    /// a format of the module struct; structured ones too. TypeError for those that no buffer has.
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait for room, in
    /// seconds; None waits for ever.
    ///
    /// Raises what put() raises: queue.Full, ValueError, ShutDown. The array is put at the end of
    /// the block. If the block raises, or its process dies in it, nothing is put, and getters skip
    /// its place. If a view of it is alive at the end (del it before), BufferError is raised and
    /// nothing is put. Get it with lease_array(), or by copy with get().
    ///
    ///     >>> import numpy
    ///     >>> q = shmq.Queue()
    ///     >>> with q.loan(3, "f8") as a:
    ///     ...     numpy.asarray(a)[:] = 7
    ///     >>> q.get()
    ///     array([7., 7., 7.])
    #[pyo3(signature = (shape, dtype, block=true, timeout=None))]
    fn loan(
        slf: &Bound<'_, Self>,
        shape: &Bound<'_, PyAny>,
        dtype: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Py<ArrayLoan>> {
        let ring = Queue::ring_in_use(slf)?;
        let description = Description::of(shape, dtype)?;
        let Some(length) = description.message_bytes() else { return Err(PyValueError::new_err("the array is too large")) };
        slf.get().mark_used();
        let loan = ring::loan(slf.py(), ring, length, block, timeout)?;
        ArrayLoan::of(slf.py(), Loaned::Queue(loan), description)
    }

    /// The next array, read in place: `with q.lease_array() as a: ...`. numpy.asarray(a) is a
    /// read-only view of it. What was put by loan(), and any numpy array in one piece that was put
    /// by put(), is one; TypeError for any other object, which is given back.
    ///
    /// block: False makes it one try, whatever the timeout. timeout: how long to wait for an array,
    /// in seconds; None waits for ever. Raises what get() raises.
    ///
    /// The message is done at the end of the block, and its room is free once no view of it is
    /// alive: a view that is kept fills the queue, so `del` it before the next call that may wait.
    /// If the block raises, or its process dies in it, the message comes back, before newer ones.
    ///
    ///     >>> import numpy
    ///     >>> q = shmq.Queue(); q.put(numpy.arange(4))
    ///     >>> with q.lease_array() as a:
    ///     ...     print(numpy.asarray(a).sum())
    ///     6
    #[pyo3(signature = (block=true, timeout=None))]
    fn lease_array(
        slf: &Bound<'_, Self>,
        #[pyo3(from_py_with = truth)] block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Py<ArrayLease>> {
        let (py, ring) = (slf.py(), Queue::ring_in_use(slf)?);
        ArrayLease::of(py, ring::lease(py, ring, block, timeout)?)
    }
}
