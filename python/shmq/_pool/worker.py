"""What a worker process does.

    lease a task --> run it --> put its result --> the lease is done
                  | killed: the lease comes back to another worker, which answers WorkerDied for the
                  | task, or runs it again (`retries`)
                              | killed here: another answer follows, which the parent drops
"""

import os
from multiprocessing import process
from multiprocessing.pool import ExceptionWithTraceback, MaybeEncodingError
from queue import Empty, Full

from .._exceptions import ShutDown
from .errors import WorkerDied

__all__ = ["EVENT", "work"]

# The job of messages about a worker itself; their number is the worker's.
EVENT = -1

# How often a worker that waits checks that its parent lives.
_SLICE = 1.0


class _Orphaned(Exception):
    """The parent has died: there is no pool any more."""


class _Parent:
    def __init__(self):
        self._process = process.parent_process()
        # A child of the fork server has another parent, and a pipe that ends with the pool's process.
        # Of a pipe that was inherited by fork, siblings have copies.
        self._is_own = self._process is not None and self._process.pid == os.getppid()

    def check(self):
        if self._is_own:
            lives = os.getppid() == self._process.pid
        else:
            lives = self._process is None or self._process.is_alive()
        if not lives:
            raise _Orphaned


class _Worker:
    def __init__(self, tasks, results, number):
        self._tasks = tasks
        self._results = results
        self._number = number
        self._parent = _Parent()

    def say(self, is_ready, error=None):
        """Is it ready for tasks?"""
        self._put(EVENT, self._number, is_ready, error)

    def lease(self):
        """The next task; None once there will be no more."""
        while True:
            try:
                return self._tasks.lease(True, _SLICE)
            except Empty:
                self._parent.check()
            except ShutDown:
                return None

    def answer(self, task, is_ok, result):
        try:
            self._put(task.job, task.number, is_ok, result)
        except _Orphaned:
            raise
        except Exception as error:
            self._put(task.job, task.number, False, MaybeEncodingError(error, result))
        task.done()

    def _put(self, job, number, is_ok, result):
        while True:
            try:
                error = self._results.put(job, number, is_ok, result, True, _SLICE)
            except Full:
                self._parent.check()
                continue
            if error is not None:
                raise error
            return


def work(tasks, results, number, initializer, initargs, maxtasks, wraps, retries):
    """Runs tasks until there are no more, or `maxtasks` of them."""
    worker = _Worker(tasks, results, number)
    try:
        if initializer is not None:
            _initialize(worker, initializer, initargs)
        worker.say(True)
        while maxtasks is None or maxtasks > 0:
            task = worker.lease()
            if task is None:
                return
            _run(worker, task, wraps, retries)
            task = None
            if maxtasks is not None:
                maxtasks -= 1
    except _Orphaned:
        pass


def _initialize(worker, initializer, initargs):
    try:
        initializer(*initargs)
    except BaseException as error:
        try:
            worker.say(False, ExceptionWithTraceback(error, error.__traceback__))
        except Exception as unpicklable:
            worker.say(False, MaybeEncodingError(unpicklable, error))
        raise


def _run(worker, task, wraps, retries):
    attempts = task.deliveries - 1
    if attempts > retries:
        return worker.answer(task, False, WorkerDied(attempts))
    try:
        func, args, kwds = task.load()
        result = func(*args, **kwds)
    except Exception as error:
        if wraps:
            error = ExceptionWithTraceback(error, error.__traceback__)
        worker.answer(task, False, error)
    else:
        worker.answer(task, True, result)
