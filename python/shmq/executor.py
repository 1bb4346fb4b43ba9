"""ProcessPoolExecutor: that of concurrent.futures, over a pool that no killed worker breaks."""

import threading
from concurrent.futures import BrokenExecutor, Executor, Future

from .multiprocessing import pool as _pool
from .multiprocessing.pool import WorkerDied

__all__ = ["BrokenPool", "ProcessPoolExecutor", "WorkerDied"]


class BrokenPool(_pool.BrokenPool, BrokenExecutor):
    """Workers cannot be started: the initializer raised in one after the other. `__cause__` is what it raised."""


def _of_executor(error):
    """As users of executors catch it."""
    if type(error) is not _pool.BrokenPool:
        return error
    broken = BrokenPool(*error.args)
    broken.__cause__ = error.__cause__
    return broken


class ProcessPoolExecutor(Executor):
    """An executor of worker processes.

    A call whose worker is killed raises WorkerDied, or is made again: `retries` times, 0 if not given. The
    others go on, and so do later ones: it never becomes BrokenProcessPool.

    An initializer that raises in one worker after the other is the exception: then calls raise BrokenPool, a
    concurrent.futures.BrokenExecutor, whose cause is what the initializer raised.
    """

    def __init__(
        self, max_workers=None, mp_context=None, initializer=None, initargs=(), *, max_tasks_per_child=None, retries=0
    ):
        self._pool = _pool.Pool(max_workers, initializer, initargs, max_tasks_per_child, mp_context, retries=retries)
        self._lock = threading.Lock()
        self._futures = set()
        self._is_shut_down = False

    def submit(self, fn, /, *args, **kwargs):
        """Has a worker call fn. A future that is cancelled drops its result; a call that was begun is made."""
        future = Future()
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._futures.add(future)

        def end(set_outcome):
            def ended(outcome):
                if self._is_wanted(future):
                    set_outcome(outcome)

            return ended

        ended_badly = end(lambda error: future.set_exception(_of_executor(error)))
        try:
            self._pool.apply_async(fn, args, kwargs, end(future.set_result), ended_badly)
        except BaseException as error:
            with self._lock:
                self._futures.discard(future)
            if type(error) is _pool.BrokenPool:
                raise _of_executor(error) from error.__cause__
            raise
        return future

    def _is_wanted(self, future):
        """Its call has ended: is the outcome to be set?"""
        with self._lock:
            if future not in self._futures:
                return False
            self._futures.discard(future)
        return future.set_running_or_notify_cancel()

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Takes no more calls; those that were submitted are made.

        cancel_futures: cancels all that have not ended instead, and ends their workers.
        """
        with self._lock:
            self._is_shut_down = True
            pending = list(self._futures)
        if cancel_futures:
            self._pool.terminate()
            for future in pending:
                future.cancel()
                self._is_wanted(future)
        else:
            self._pool.close()
        if wait:
            self._pool.join()
