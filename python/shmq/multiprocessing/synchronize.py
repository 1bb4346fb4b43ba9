"""Primitives with the signatures of multiprocessing.synchronize."""

import multiprocessing.synchronize as _theirs
import sys
import threading
import time
from multiprocessing import process

from .. import _shmq

__all__ = ["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event"]


class _Inside:
    """What the standard primitives have in `_semlock`, for the programs that ask there."""

    def __init__(self, of):
        self._of = of

    @property
    def name(self):
        return self._of._name

    def _is_mine(self):
        return self._of._levels() > 0

    def _count(self):
        return self._of._levels()

    def _get_value(self):
        return self._of._value()

    def _is_zero(self):
        return self._of._value() == 0


class _Primitive:
    @property
    def _semlock(self):
        return _Inside(self)


def _owner(lock):
    """Who has a lock, as the standard module's reprs say it."""
    if lock._is_mine():
        name = process.current_process().name
        if threading.current_thread().name != "MainThread":
            name += "|" + threading.current_thread().name
        return name
    if not lock.locked():
        return "None"
    return "SomeOtherThread" if lock._is_of_this_process() else "SomeOtherProcess"


class Lock(_Primitive, _shmq.Lock):
    """A lock that any thread of any process may release: see shmq's table of what a death leaves."""

    def __init__(self, *, ctx):
        super().__init__()

    def _value(self):
        return int(not self.locked())

    def __repr__(self):
        return f"<{type(self).__name__}(owner={_owner(self)})>"


class RLock(_Primitive, _shmq.RLock):
    """A lock that the thread that has it may acquire again."""

    def __init__(self, *, ctx):
        super().__init__()

    def _value(self):
        return int(not self.locked())

    def __repr__(self):
        owner = _owner(self)
        levels = self._levels() if self._is_mine() else 0 if owner == "None" else "nonzero"
        return f"<{type(self).__name__}({owner}, {levels})>"


class Semaphore(_Primitive, _shmq.Semaphore):
    """A semaphore. A permit of a `with` block comes back if its process dies, one of acquire() does not."""

    def __init__(self, value=1, *, ctx):
        super().__init__(value)

    def _value(self):
        return self.get_value()

    def __repr__(self):
        return f"<{type(self).__name__}(value={self.get_value()})>"


class BoundedSemaphore(Semaphore):
    """A semaphore that never has more permits than it was made with."""

    def __init__(self, value=1, *, ctx):
        _shmq.Semaphore.__init__(self, value, bounded=True)

    def __repr__(self):
        return f"<{type(self).__name__}(value={self.get_value()}, maxvalue={self._bound})>"


class Event(_shmq.Event):
    """An event: it is set or not, and processes wait until it is set."""

    def __init__(self, *, ctx):
        super().__init__()

    def __repr__(self):
        state = "set" if self.is_set() else "unset"
        return f"<{type(self).__qualname__} at {id(self):#x} {state}>"


class _Hidden:
    """A count that this package does not keep, where the standard Condition has a semaphore."""

    def get_value(self):
        raise NotImplementedError


class Condition:
    """A condition variable. notify() waits for no process: a killed sleeper does not hang it."""

    _sleeping_count = _woken_count = _wait_semaphore = _Hidden()

    def __init__(self, lock=None, *, ctx):
        self.__setstate__((lock or ctx.RLock(), _shmq.Condvar()))

    def __getstate__(self):
        return (self._lock, self._condvar)

    def __setstate__(self, state):
        (self._lock, self._condvar) = state
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __enter__(self):
        return self._lock.__enter__()

    def __exit__(self, *args):
        return self._lock.__exit__(*args)

    def __repr__(self):
        return f"<{type(self).__name__}({self._lock}, {self._condvar.waiting()})>"

    def wait(self, timeout=None):
        """Releases the lock, waits for a notice, and acquires the lock again.

        timeout: how long to wait, in seconds; None waits for ever. False if there was no notice in
        time. AssertionError if the caller does not hold the lock.
        """
        assert self._lock._is_mine(), "must acquire() condition before using wait()"
        return self._condvar.wait(self._lock, timeout)

    def notify(self, n=1):
        """Wakes n that wait, if there are so many. AssertionError if the caller does not hold the lock."""
        assert self._lock._is_mine(), "lock is not owned"
        self._condvar.notify(n)

    def notify_all(self):
        """Wakes all that wait. AssertionError if the caller does not hold the lock."""
        self.notify(sys.maxsize)

    def wait_for(self, predicate, timeout=None):
        """Waits until predicate() is true, and returns what it returned.

        timeout: how long, in seconds; None waits for ever. After that it returns False, or what
        predicate() returned last.
        """
        result = predicate()
        deadline = None if timeout is None else time.monotonic() + timeout
        left = None
        while not result:
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
            self.wait(left)
            result = predicate()
        return result


class Barrier(_theirs.Barrier):
    """A barrier that breaks if a process is killed while it waits there: the others get
    BrokenBarrierError. timeout: that of wait() where it has none, in seconds.

    Each process that is counted holds a permit, which comes back if it dies: then there are fewer
    permits in use than processes counted.
    """

    # How long a wait goes on before it looks for the dead.
    _SLICE = 0.1

    def __init__(self, parties, action=None, timeout=None, *, ctx):
        self._present = _shmq.Semaphore(parties)
        super().__init__(parties, action, timeout, ctx=ctx)

    def __getstate__(self):
        return (super().__getstate__(), self._present)

    def __setstate__(self, state):
        if len(state) == 2:
            state, self._present = state
        super().__setstate__(state)

    def wait(self, timeout=None):
        """Waits for the other parties. Returns a number, another one to each: 0 to parties - 1.

        timeout: how long, in seconds; that of the barrier if it is not given. Raises
        BrokenBarrierError then, as in all the others, and where one of them is killed while it waits.
        """
        if timeout is None:
            timeout = self._timeout
        with self._cond:
            self._enter()
            with self._present:
                index = self._count
                self._count += 1
                try:
                    if index + 1 == self._parties:
                        self._release()
                    else:
                        self._wait(timeout)
                    return index
                finally:
                    self._count -= 1
                    self._exit()

    def _enter(self):
        # Those of the last time are leaving.
        while self._state in (-1, 1):
            if not self._cond.wait(self._SLICE):
                self._count_off_the_dead()
        if self._state < 0:
            raise threading.BrokenBarrierError

    def _wait(self, timeout):
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._state == 0:
            left = self._SLICE if deadline is None else deadline - time.monotonic()
            if left <= 0:
                self._break()
            elif not self._cond.wait(min(left, self._SLICE)):
                self._count_off_the_dead()
        if self._state < 0:
            raise threading.BrokenBarrierError

    def _count_off_the_dead(self):
        present = self._parties - self._present.get_value()
        count, self._count = self._count, min(self._count, present)
        if self._state == 0:
            if present < count:
                self._break()
        elif present == 0 and self._state in (-1, 1):
            # The last that left did not say so.
            self._state = 0
            self._cond.notify_all()


def __getattr__(name):
    return getattr(_theirs, name)
