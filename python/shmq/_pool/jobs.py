"""What a caller has of its tasks: the results of Pool's methods.

Invariants:
1. `take` may be given the same answer twice: a worker may be killed behind its answer, and a thread
   that takes results may be interrupted in the middle of `take`. What was taken is marked after all
   else, and `core.jobs` loses the job last.
2. Threads that run callers' code hold no lock that others need: a Ctrl-C in threading.Event.wait, or in
   a Condition's, may leave its lock locked for ever.
"""

import collections
import contextlib
import itertools
import multiprocessing.pool as _theirs
import sys
import threading
import time
from multiprocessing.context import TimeoutError

__all__ = ["Apply", "Imap", "ImapUnordered", "Map"]

_numbers = itertools.count()


class _Waiters(collections.deque):
    """Threads that wait, each for a lock of its own (Invariant 2)."""

    def wait(self, is_over, timeout):
        """Waits until wake(), unless it is over already."""
        lock = threading.Lock()
        lock.acquire()
        self.append(lock)
        try:
            if not is_over():
                lock.acquire(True, -1 if timeout is None else min(max(timeout, 0), threading.TIMEOUT_MAX))
        finally:
            with contextlib.suppress(ValueError):
                self.remove(lock)

    def wake(self):
        with contextlib.suppress(IndexError):
            while True:
                self.popleft().release()


class Apply(_theirs.ApplyResult):
    """The result of one call."""

    _is_ended = False
    # (did it return?, what it returned or raised): written at once, since two threads may end a job.
    _outcome = None

    def __init__(self, pool, callback=None, error_callback=None):
        # A pool lives as long as its jobs.
        self._pool = pool
        self._core = pool._core
        self._job = next(_numbers)
        self._callback = callback
        self._error_callback = error_callback
        # Callbacks are called by the pool's thread alone.
        self.is_for_handler = callback is not None or error_callback is not None

    def ready(self):
        """Has the call ended?"""
        return self._is_ended

    def successful(self):
        """Did it return? ValueError if it has not ended."""
        if not self._is_ended:
            raise ValueError(f"{self!r} not ready")
        return self._outcome[0]

    def wait(self, timeout=None):
        """Waits until it has ended, or for timeout seconds."""
        if self._is_ended:
            return
        if timeout is None:
            if not self._core.lead(self, None):
                self._follow(None)
            return
        deadline = time.monotonic() + timeout
        if not self._core.lead(self, deadline):
            self._follow(max(deadline - time.monotonic(), 0))

    def _follow(self, timeout):
        """Another thread takes the results."""
        self.__dict__.setdefault("_waiters", _Waiters()).wait(self.ready, timeout)

    def get(self, timeout=None):
        """What the call returned; raises what it raised. TimeoutError after timeout seconds."""
        self.wait(timeout)
        if not self._is_ended:
            raise TimeoutError
        is_ok, value = self._outcome
        if is_ok:
            return value
        raise value

    def take(self, number, is_ok, value):
        """Takes the answer of a worker."""
        self._end((is_ok, value))

    def _end(self, outcome):
        if self.is_for_handler:
            if self._core.jobs.pop(self._job, None) is None:
                # Another thread has ended it.
                return
            callback = self._callback if outcome[0] else self._error_callback
            if callback is not None:
                _call_back(callback, outcome[1])
        self._outcome = outcome
        self._is_ended = True
        waiters = self.__dict__.get("_waiters")
        if waiters is not None:
            waiters.wake()
        self._callback = self._error_callback = None
        self._core.jobs.pop(self._job, None)
        self._core.ended()
        self._pool = None

    def fail(self, error):
        """There will be no more answers."""
        self._end((False, error))

    def abandon(self, error):
        """As fail(), without a callback: the pool was terminated."""
        self._callback = self._error_callback = None
        self.fail(error)


class Map(Apply):
    """The results of a map, in order."""

    def __init__(self, pool, chunksize, length, callback=None, error_callback=None):
        super().__init__(pool, callback, error_callback)
        self._chunksize = chunksize
        self._values = [None] * length
        # The first one is the outcome, once all tasks have ended.
        self._error = None
        self._count = -(-length // chunksize) if length else 0
        self._taken = set()
        if not length:
            self.is_for_handler = False
            self._end((True, []))

    def take(self, number, is_ok, value):
        if number not in self._taken:
            if is_ok:
                begin = number * self._chunksize
                self._values[begin : begin + self._chunksize] = value
            elif self._error is None:
                self._error = value
            self._taken.add(number)
        # What comes twice too: the first time may not have got this far.
        self._check()

    def _check(self):
        if len(self._taken) == self._count:
            self._end((True, self._values) if self._error is None else (False, self._error))

    def stop(self, number, error):
        """There are no tasks from that number on: the iterable raised."""
        if self._error is None:
            self._error = error
        self._count = number
        self._check()

    def set_length(self, number):
        """So many tasks have been put."""


class Imap(_theirs.IMapIterator):
    """The results of an imap, in order, as they come."""

    # `take` is not to be interrupted.
    is_for_handler = True

    def __init__(self, pool):
        self._pool = pool
        self._core = pool._core
        self._job = next(_numbers)
        # Held by threads of the pool alone (Invariant 2).
        self._mutex = threading.Lock()
        self._waiters = _Waiters()
        self._items = collections.deque()
        # All up to that number have been taken, and these beyond.
        self._index = 0
        self._beyond = {}
        self._length = None
        self._is_ended = False

    def next(self, timeout=None):
        """The next result; TimeoutError after timeout seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            # Behind the last item.
            is_ended = self._is_ended
            try:
                is_ok, value = self._items.popleft()
                break
            except IndexError:
                pass
            if is_ended:
                self._pool = None
                raise StopIteration
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            self._waiters.wait(lambda: self._items or self._is_ended, left)
        if is_ok:
            return value
        raise value

    __next__ = next

    def take(self, number, is_ok, value):
        """Takes the answer of a worker."""
        with self._mutex:
            if number < self._index or number in self._beyond or self._is_ended:
                return
            self._beyond[number] = self._add(is_ok, value)
            # Tasks end nearly in order, so few numbers are kept.
            while self._index in self._beyond:
                self._pass(self._beyond.pop(self._index))
                self._index += 1
            self._check()

    def _add(self, is_ok, value):
        """Keeps it until it is its turn."""
        return (is_ok, value)

    def _pass(self, item):
        """It is its turn."""
        self._items.append(item)

    def _check(self):
        if self._index == self._length:
            self._is_ended = True
            self._core.jobs.pop(self._job, None)
            self._pool = None
        self._waiters.wake()

    def stop(self, number, error):
        """There are no tasks from that number on: the iterable raised."""
        self.take(number, False, error)
        self.set_length(number + 1)

    def set_length(self, length):
        """So many tasks have been put."""
        with self._mutex:
            self._length = length
            self._check()

    def fail(self, error):
        """There will be no more answers."""
        with self._mutex:
            if not self._is_ended:
                self._items.append((False, error))
                self._length = self._index
                self._check()

    abandon = fail


class ImapUnordered(Imap):
    """The results of an imap in the order in which they come."""

    def _add(self, is_ok, value):
        self._items.append((is_ok, value))

    def _pass(self, item):
        pass


def _call_back(callback, value):
    try:
        callback(value)
    except BaseException:
        # The thread lives on: other tasks have callers too.
        args = threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread()))
        threading.excepthook(args)
