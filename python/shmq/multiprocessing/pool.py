"""Pool: multiprocessing.Pool, whose tasks do not hang with a killed worker."""

import multiprocessing.pool as _theirs
import os
import warnings
from multiprocessing import get_context, util
from multiprocessing.pool import INIT, RUN, ThreadPool, mapstar

from .._pool.core import Core
from .._pool.errors import BrokenPool, Terminated, WorkerDied
from .._pool.jobs import Apply, Imap, ImapUnordered, Map

__all__ = ["Pool", "ThreadPool", "WorkerDied", "BrokenPool", "Terminated"]

# Iterating over these runs nothing that could wait, or raise.
_AT_HAND = (list, tuple, range, set, frozenset, dict, str, bytes, bytearray)


def _chunks(items, size):
    """Calls of that many items each."""
    return ((begin // size, items[begin : begin + size]) for begin in range(0, len(items), size))


def _chunks_of_any(iterable, size):
    from itertools import islice

    iterator = iter(iterable)
    number = 0
    while chunk := tuple(islice(iterator, size)):
        yield (number, chunk)
        number += 1


class Pool(_theirs.Pool):
    """Worker processes that run tasks: multiprocessing.Pool.

    A task whose worker is killed raises WorkerDied, or is run again: `retries` times, 0 if not given.
    Other tasks go on, by a new worker.

    Where an initializer raises in one worker after the other, `processes` of them and at least 3, all tasks
    raise BrokenPool, whose cause is what it raised. Ten that are killed before they are ready do the same.

    terminate() ends tasks by Terminated: no get() waits for them.
    """

    def __init__(self, processes=None, initializer=None, initargs=(), maxtasksperchild=None, context=None, *, retries=0):
        # For __del__, where the rest raises.
        self._state = INIT
        self._ctx = context or get_context()
        if processes is None:
            processes = getattr(os, "process_cpu_count", os.cpu_count)() or 1
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if maxtasksperchild is not None:
            if not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0:
                raise ValueError("maxtasksperchild must be a positive int or None")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._processes = processes
        start = _Start(self._ctx, self.Process)
        self._core = Core(start, processes, initializer, initargs, maxtasksperchild, self._wrap_exception, retries)
        self._pool = self._core.workers
        self._cache = self._core.jobs
        self._core.start()
        self._terminate = util.Finalize(self, self._core.terminate, exitpriority=15)
        self._state = RUN

    def __del__(self, _warn=warnings.warn, RUN=RUN):
        if self._state == RUN:
            _warn(f"unclosed running multiprocessing pool {self!r}", ResourceWarning, source=self)

    def _repopulate_pool(self):
        self._core.populate()

    def _check_running(self):
        if self._state != RUN:
            raise ValueError("Pool not running")
        broken = self._core.broken
        if broken is not None:
            raise BrokenPool(*broken.args) from broken.__cause__

    def apply(self, func, args=(), kwds={}):
        """Has a worker call func(*args, **kwds); returns or raises what it does."""
        return self.apply_async(func, args, kwds).get()

    def apply_async(self, func, args=(), kwds={}, callback=None, error_callback=None):
        """apply() without waiting. Its result has get(timeout), wait(timeout), ready() and successful(); a callback
        is called in a thread of the pool."""
        self._check_running()
        job = Apply(self, callback, error_callback)
        self._core.submit(job, [(0, (func, args, kwds))])
        return job

    def _map_async(self, func, iterable, mapper, chunksize=None, callback=None, error_callback=None):
        self._check_running()
        if not hasattr(iterable, "__len__"):
            iterable = list(iterable)
        length = len(iterable)
        if chunksize is None:
            chunksize = max(1, -(-length // (self._processes * 4)))
        elif chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize!r}")
        job = Map(self, chunksize, length, callback, error_callback)
        if length:
            self._submit_chunks(job, func, mapper, iterable, chunksize)
        return job

    def _submit_chunks(self, job, func, mapper, iterable, chunksize):
        if type(iterable) in (list, tuple, range):
            chunks = _chunks(iterable, chunksize)
        else:
            chunks = _chunks_of_any(iterable, chunksize)
        self._submit(job, iterable, chunksize, ((number, (mapper, ((func, chunk),), {})) for number, chunk in chunks))

    def _submit(self, job, iterable, chunksize, calls):
        if type(iterable) in _AT_HAND:
            job.set_length(-(-len(iterable) // chunksize))
            if len(iterable):
                self._core.submit(job, calls)
        else:
            self._core.submit_from(job, calls)

    def _imap(self, make_job, func, iterable, chunksize):
        self._check_running()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize!r}")
        iter(iterable)
        job = make_job(self)
        if chunksize == 1:
            calls = ((number, (func, (item,), {})) for number, item in enumerate(iterable))
            self._submit(job, iterable, 1, calls)
            return job
        self._submit_chunks(job, func, mapstar, iterable, chunksize)
        return (item for chunk in job for item in chunk)

    def imap(self, func, iterable, chunksize=1):
        """An iterator over what func returns for each item, in order. It reads ahead as far as there is room for
        tasks; next(timeout) raises TimeoutError."""
        return self._imap(Imap, func, iterable, chunksize)

    def imap_unordered(self, func, iterable, chunksize=1):
        """imap() in the order in which tasks end."""
        return self._imap(ImapUnordered, func, iterable, chunksize)

    def close(self):
        """Takes no more tasks; workers end once all have ended."""
        util.debug("closing pool")
        if self._state == RUN:
            self._state = _theirs.CLOSE
            self._core.close()

    def terminate(self):
        """Ends workers now. Tasks that have not ended raise Terminated."""
        util.debug("terminating pool")
        self._state = _theirs.TERMINATE
        self._terminate()

    def join(self):
        """Waits until all workers have ended, after close() or terminate()."""
        util.debug("joining pool")
        if self._state == RUN:
            raise ValueError("Pool is still running")
        if self._state not in (_theirs.CLOSE, _theirs.TERMINATE):
            raise ValueError("In unknown state")
        self._core.join()


class _Start:
    """Starts a worker, and keeps no pool alive."""

    def __init__(self, ctx, make_process):
        self._ctx = ctx
        self._make_process = make_process

    def __call__(self, target, args):
        process = self._make_process(self._ctx, target=target, args=args)
        process.name = process.name.replace("Process", "PoolWorker")
        process.daemon = True
        process.start()
        return process


def __getattr__(name):
    return getattr(_theirs, name)
