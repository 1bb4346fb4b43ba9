"""Contexts: the standard ones, whose queues and locks are this package's."""

import multiprocessing.context as _theirs
from multiprocessing.context import (
    AuthenticationError,
    BufferTooShort,
    Process,
    ProcessError,
    TimeoutError,
    assert_spawning,
    get_spawning_popen,
    set_spawning_popen,
)

__all__ = ()


class BaseContext(_theirs.BaseContext):
    """What differs from the standard context."""

    def Manager(self):
        """Returns a manager associated with a running server process. Its queues need no server."""
        from .managers import SyncManager

        manager = SyncManager(ctx=self.get_context())
        manager.start()
        return manager

    def Lock(self):
        """Returns a non-recursive lock object"""
        from .synchronize import Lock

        return Lock(ctx=self.get_context())

    def RLock(self):
        """Returns a recursive lock object"""
        from .synchronize import RLock

        return RLock(ctx=self.get_context())

    def Condition(self, lock=None):
        """Returns a condition object"""
        from .synchronize import Condition

        return Condition(lock, ctx=self.get_context())

    def Semaphore(self, value=1):
        """Returns a semaphore object"""
        from .synchronize import Semaphore

        return Semaphore(value, ctx=self.get_context())

    def BoundedSemaphore(self, value=1):
        """Returns a bounded semaphore object"""
        from .synchronize import BoundedSemaphore

        return BoundedSemaphore(value, ctx=self.get_context())

    def Event(self):
        """Returns an event object"""
        from .synchronize import Event

        return Event(ctx=self.get_context())

    def Barrier(self, parties, action=None, timeout=None):
        """Returns a barrier object"""
        from .synchronize import Barrier

        return Barrier(parties, action, timeout, ctx=self.get_context())

    def Queue(self, maxsize=0):
        """Returns a queue object"""
        from .queues import Queue

        return Queue(maxsize, ctx=self.get_context())

    def JoinableQueue(self, maxsize=0):
        """Returns a queue object"""
        from .queues import JoinableQueue

        return JoinableQueue(maxsize, ctx=self.get_context())

    def SimpleQueue(self):
        """Returns a queue object"""
        from .queues import SimpleQueue

        return SimpleQueue(ctx=self.get_context())

    def Pool(self, processes=None, initializer=None, initargs=(), maxtasksperchild=None):
        """Returns a process pool object"""
        from .pool import Pool

        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def get_context(self, method=None):
        if method is None:
            return self
        try:
            context = _concrete_contexts[method]
        except KeyError:
            raise ValueError(f"cannot find context for {method!r}") from None
        context._check_available()
        return context


def _concrete(theirs):
    """The context of one start method."""
    name = type(theirs).__name__
    return type(name, (BaseContext, type(theirs)), {"__module__": __name__, "__qualname__": name})()


_concrete_contexts = {name: _concrete(theirs) for name, theirs in _theirs._concrete_contexts.items()}


class DefaultContext(BaseContext):
    """The context of the start method that the standard module has."""

    Process = _theirs._default_context.Process

    def get_context(self, method=None):
        if method is None:
            method = _theirs._default_context.get_start_method()
        return super().get_context(method)

    def set_start_method(self, method, force=False):
        _theirs._default_context.set_start_method(method, force)

    def get_start_method(self, allow_none=False):
        return _theirs._default_context.get_start_method(allow_none)

    def get_all_start_methods(self):
        """Returns a list of the supported start methods, default first."""
        return _theirs._default_context.get_all_start_methods()


_default_context = DefaultContext()


def __getattr__(name):
    return getattr(_theirs, name)
