import multiprocessing.managers as _theirs
from multiprocessing.managers import *
from typing import Any

from .._queues import JoinableQueue as _JoinableQueue

class SyncManager(_theirs.SyncManager):
    def Queue(self, maxsize: int = 0) -> _JoinableQueue[Any]: ...  # type: ignore[override]
    def JoinableQueue(self, maxsize: int = 0) -> _JoinableQueue[Any]: ...  # type: ignore[override]
