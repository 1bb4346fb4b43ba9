from queue import Empty as Empty
from queue import Full as Full
from typing import Any, TypeVar

from .. import _queues
from .._queues import Queue as _Queue

__all__ = ["Queue", "SimpleQueue", "JoinableQueue"]

_T = TypeVar("_T")

# `ctx` has no default at run time. It has one here because these classes stand for the functions of
# shmq.multiprocessing, as in typeshed.

class Queue(_Queue[_T]):
    def __init__(self, maxsize: int = 0, *, ctx: Any = ...) -> None: ...
    @staticmethod
    def _on_queue_feeder_error(e: BaseException, obj: Any) -> None: ...

class JoinableQueue(Queue[_T], _queues.JoinableQueue[_T]): ...

class SimpleQueue(_queues.SimpleQueue[_T]):
    def __init__(self, *, ctx: Any = ...) -> None: ...
