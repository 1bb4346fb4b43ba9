"""Managers: the standard ones, whose queues need no server."""

import multiprocessing.managers as _theirs
from multiprocessing.managers import BaseManager, BaseProxy, Token

from .._queues import JoinableQueue

__all__ = ["BaseManager", "SyncManager", "BaseProxy", "Token"]
__all__ += [name for name in _theirs.__all__ if name not in __all__]


class SyncManager(_theirs.SyncManager):
    """A SyncManager whose queues are in shared memory: no message goes through the server."""

    def Queue(self, maxsize=0):
        """A queue, which may be passed to any process."""
        return JoinableQueue(maxsize)

    JoinableQueue = Queue


def __getattr__(name):
    return getattr(_theirs, name)
