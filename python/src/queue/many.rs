//! Many objects in one call.

use super::Queue;
use crate::arguments::truth;
use crate::errors;
use crate::interrupt::Until;
use crate::pickle::{Loader, Pickle};
use crate::ring;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

impl Queue {
    /// What `get_many` could not load, behind objects that it returned.
    #[inline]
    pub(super) fn raise_deferred(&self) -> PyResult<()> {
        if !self.is_deferred.load(Relaxed) {
            return Ok(());
        }
        self.is_deferred.store(false, Relaxed);
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

#[pymethods]
impl Queue {
    /// Puts all of an iterable in order, and returns how many: fewer than there are if time ran
    /// out.
    ///
    /// block: False puts as many as there is room for. timeout: how long to wait for room, in
    /// seconds, altogether; None waits for ever.
    ///
    /// Raises queue.Full if none was put. What pickling raises, ShutDown, and ValueError of a
    /// closed handle are raised whatever was put before: those objects stay. As they do if this
    /// process is killed meanwhile.
    ///
    ///     >>> q = shmq.Queue(3)
    ///     >>> q.put_many(range(5), timeout=0.01)
    ///     3
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

    /// Takes as many objects as there are, max at most, in a list; waits as get() does until there
    /// is one.
    ///
    /// block: False makes it one try. timeout: how long to wait for the first object, in seconds;
    /// None waits for ever. Raises what get() raises. An object that cannot be loaded ends the
    /// list, and the next call raises why.
    ///
    /// At most once, as get(): what was taken is lost if this process is killed.
    ///
    ///     >>> q = shmq.Queue()
    ///     >>> q.put_many("abc")
    ///     3
    ///     >>> q.get_many(2), q.get_many(2)
    ///     (['a', 'b'], ['c'])
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
        let mut loader = Loader::new(py);
        objects.append(loader.load(ring::get(py, ring, block, timeout)?)?)?;
        while objects.len() < max {
            let Ok(message) = ring.try_get() else { break };
            match loader.load(message) {
                Ok(object) => objects.append(object)?,
                Err(error) => {
                    let before = slf.get().deferred.lock().unwrap_or_else(PoisonError::into_inner).replace(error);
                    slf.get().is_deferred.store(true, Relaxed);
                    // Not before the mutex is free: what it held may use the queue.
                    drop(before);
                    break;
                }
            }
        }
        Ok(objects)
    }
}
