import multiprocessing.pool as _theirs
from collections.abc import Callable, Iterable
from multiprocessing.pool import (
    ApplyResult as ApplyResult,
    AsyncResult as AsyncResult,
    IMapIterator as IMapIterator,
    IMapUnorderedIterator as IMapUnorderedIterator,
    MapResult as MapResult,
    ThreadPool as ThreadPool,
)
from typing import Any

__all__ = ["Pool", "ThreadPool", "WorkerDied", "BrokenPool", "Terminated"]

__all__ = ["Pool", "ThreadPool", "WorkerDied", "BrokenPool", "Terminated"]

class BrokenPool(RuntimeError): ...
class Terminated(RuntimeError): ...

class Pool(_theirs.Pool):
    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
        *,
        retries: int = 0,
    ) -> None: ...
