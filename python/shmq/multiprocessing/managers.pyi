import multiprocessing.managers as _theirs
from multiprocessing.managers import (
    BaseManager as BaseManager,
    BaseProxy as BaseProxy,
    ListProxy as ListProxy,
    Namespace as Namespace,
    RemoteError as RemoteError,
    Server as Server,
    SharedMemoryManager as SharedMemoryManager,
    Token as Token,
    ValueProxy as ValueProxy,
)
from typing import Any

from .._queues import JoinableQueue as _JoinableQueue

__all__ = ["BaseManager", "SyncManager", "BaseProxy", "Token", "SharedMemoryManager"]

class SyncManager(_theirs.SyncManager):
    def Queue(self, maxsize: int = 0) -> _JoinableQueue[Any]: ...  # type: ignore[override]
    def JoinableQueue(self, maxsize: int = 0) -> _JoinableQueue[Any]: ...  # type: ignore[override]
