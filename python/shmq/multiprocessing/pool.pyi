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

from .._pool.errors import BrokenPool as BrokenPool
from .._pool.errors import Terminated as Terminated
from .._pool.errors import WorkerDied as WorkerDied

__all__ = ["Pool", "ThreadPool", "WorkerDied", "BrokenPool", "Terminated"]

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
