from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, Executor
from multiprocessing.context import BaseContext
from typing import Any

from .multiprocessing import pool as _pool
from .multiprocessing.pool import WorkerDied as WorkerDied

__all__ = ["BrokenPool", "ProcessPoolExecutor", "WorkerDied"]

class BrokenPool(_pool.BrokenPool, BrokenExecutor): ...

class ProcessPoolExecutor(Executor):
    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *,
        max_tasks_per_child: int | None = None,
        retries: int = 0,
    ) -> None: ...
