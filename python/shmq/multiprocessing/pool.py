"""Pool: the standard one over this package's queues, so that no task hangs with a killed worker.

    parent --put--> tasks --lease--> worker --put--> results --get--> parent
                                        | the result is put, then the lease is done
                                        \\ killed: the lease comes back to another worker, which answers
                                          WorkerDied for it, or runs it again (retries)

A worker that is killed between its result and the end of its lease leads to a second answer. The
parent drops it: it knows which it has had.
"""

import multiprocessing.pool as _theirs
import queue
from multiprocessing.pool import ThreadPool
from multiprocessing.reduction import ForkingPickler

from .._shmq import Queue

__all__ = ["Pool", "ThreadPool", "WorkerDied"]


class WorkerDied(Exception):
    """The worker process was killed, or ended, while it ran the task."""

    def __init__(self, attempts):
        super().__init__(attempts)
        self.attempts = attempts

    def __str__(self):
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        return f"the task was begun {times}, and its worker died each time"


# The lease of the task that this worker runs.
_held = None


class _Results:
    """What workers have done. `put` belongs to workers, and to the parent for its sentinels."""

    def __init__(self):
        self._queue = Queue()
        self._had = {}
        self._cache = None
        self.is_terminating = False

    def __getstate__(self):
        return self._queue

    def __setstate__(self, state):
        self._queue = state

    def put(self, result):
        global _held
        if result is None:
            return self._put_sentinel()
        self._queue.put(result)
        if _held is not None:
            _held.done()
            _held = None

    def _put_sentinel(self):
        while True:
            try:
                return self._queue.put(None, timeout=0.1)
            except queue.Full:
                # The thread that takes results ends with the next of them, or has ended.
                if self.is_terminating:
                    return

    def get(self):
        while True:
            result = self._queue.get()
            if result is None or self._is_first(*result[:2]):
                return result

    def _is_first(self, job, number):
        """Is it the first answer? Tasks end nearly in order, so few numbers are kept."""
        if job not in self._had:
            # Jobs that have ended.
            for ended in [other for other in self._had if self._cache is not None and other not in self._cache]:
                del self._had[ended]
            self._had[job] = (0, set())
        begin, beyond = self._had[job]
        if number < begin or number in beyond:
            return False
        beyond.add(number)
        while begin in beyond:
            beyond.remove(begin)
            begin += 1
        self._had[job] = (begin, beyond)
        return True


class _Tasks:
    """What workers shall do. `get` belongs to workers."""

    def __init__(self, results, retries):
        self._queue = Queue()
        self._results = results
        self._retries = retries

    def __getstate__(self):
        return (self._queue, self._results, self._retries)

    def __setstate__(self, state):
        (self._queue, self._results, self._retries) = state

    def put(self, task):
        if task is not None:
            # Apart from its contents: a worker that cannot load those answers that.
            task = (*task[:2], bytes(ForkingPickler.dumps(task[2:])))
        while True:
            try:
                return self._queue.put(task, timeout=0.1)
            except queue.Full:
                # Workers are about to be terminated: nobody makes room any more.
                if self._results.is_terminating:
                    return

    def get(self):
        global _held
        while True:
            lease = self._queue.lease()
            task = lease.value
            if task is None:
                lease.done()
                return None
            job, number, contents = task
            _held = lease
            attempts = lease.deliveries - 1
            if attempts > self._retries:
                self._results.put((job, number, (False, WorkerDied(attempts))))
                continue
            try:
                return (job, number, *ForkingPickler.loads(contents))
            except Exception as error:
                self._results.put((job, number, (False, error)))


class Pool(_theirs.Pool):
    """Worker processes that run tasks: multiprocessing.Pool.

    A task whose worker is killed raises WorkerDied, or is run again: `retries` times, 0 if not given.
    Other tasks go on, by a new worker.
    """

    def __init__(self, processes=None, initializer=None, initargs=(), maxtasksperchild=None, context=None, *, retries=0):
        self._retries = retries
        super().__init__(processes, initializer, initargs, maxtasksperchild, context)
        self._outqueue._cache = self._cache

    def _setup_queues(self):
        self._outqueue = _Results()
        self._inqueue = _Tasks(self._outqueue, self._retries)
        self._quick_put = self._inqueue.put
        self._quick_get = self._outqueue.get

    def _get_sentinels(self):
        return [self._change_notifier._reader]

    @staticmethod
    def _help_stuff_finish(inqueue, task_handler, size):
        # A thread that is blocked in `put` gives up.
        inqueue._results.is_terminating = True


def __getattr__(name):
    return getattr(_theirs, name)
