"""Queues with the signatures of multiprocessing.queues."""

from queue import Empty, Full

from .. import _queues
from .._queues import Queue as _Queue

__all__ = ["Queue", "SimpleQueue", "JoinableQueue"]


class Queue(_Queue):
    """A queue of objects between processes: see shmq.Queue."""

    def __init__(self, maxsize=0, *, ctx):
        super().__init__(maxsize)

    def empty(self):
        """Is there nothing to get? OSError from a closed handle that was used, as of the standard one."""
        if self._closed and self._is_used:
            raise OSError("handle is closed")
        return super().empty()

    @staticmethod
    def _on_queue_feeder_error(e, obj):
        """Called where put() cannot pickle an object: put() raises what this raises."""
        raise e


class JoinableQueue(Queue, _queues.JoinableQueue):
    """A Queue that is told what has been dealt with: see shmq.JoinableQueue."""


class SimpleQueue(_queues.SimpleQueue):
    """A Queue with put, get, empty and close alone: see shmq.SimpleQueue."""

    def __init__(self, *, ctx):
        super().__init__()

    def empty(self):
        """Is there nothing to get? OSError from a closed handle, as of the standard one."""
        if self._closed:
            raise OSError("handle is closed")
        return super().empty()
