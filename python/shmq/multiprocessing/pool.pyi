import multiprocessing.pool as _theirs
from collections.abc import Callable, Iterable
from multiprocessing.context import BaseContext
from typing import Any

__all__ = ["Pool", "ThreadPool", "WorkerDied"]

ThreadPool = _theirs.ThreadPool

class WorkerDied(Exception):
    attempts: int
    def __init__(self, attempts: int) -> None: ...

class Pool(_theirs.Pool):
    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: BaseContext | None = None,
        *,
        retries: int = 0,
    ) -> None: ...
