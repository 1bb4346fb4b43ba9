from typing import Any, TypeVar

from .. import _queues
from .._queues import Queue as _Queue

__all__ = ["Queue", "SimpleQueue", "JoinableQueue"]

_T = TypeVar("_T")

class Queue(_Queue[_T]):
    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None: ...
    @staticmethod
    def _on_queue_feeder_error(e: BaseException, obj: Any) -> None: ...

class JoinableQueue(Queue[_T], _queues.JoinableQueue[_T]): ...

class SimpleQueue(_queues.SimpleQueue[_T]):
    def __init__(self, *, ctx: Any) -> None: ...
