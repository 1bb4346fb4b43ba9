from collections.abc import Callable, Iterable
from multiprocessing import (
    Array as Array,
    AuthenticationError as AuthenticationError,
    BufferTooShort as BufferTooShort,
    Pipe as Pipe,
    Process as Process,
    ProcessError as ProcessError,
    RawArray as RawArray,
    RawValue as RawValue,
    TimeoutError as TimeoutError,
    Value as Value,
    active_children as active_children,
    allow_connection_pickling as allow_connection_pickling,
    cpu_count as cpu_count,
    current_process as current_process,
    freeze_support as freeze_support,
    get_all_start_methods as get_all_start_methods,
    get_context as get_context,
    get_logger as get_logger,
    get_start_method as get_start_method,
    log_to_stderr as log_to_stderr,
    parent_process as parent_process,
    set_executable as set_executable,
    set_forkserver_preload as set_forkserver_preload,
    set_start_method as set_start_method,
)
from typing import Any

from . import context as context
from . import managers as managers
from . import pool as _pool
from . import queues as _queues
from . import synchronize as _synchronize

def Manager() -> managers.SyncManager: ...
def Lock() -> _synchronize.Lock: ...
def RLock() -> _synchronize.RLock: ...
def Condition(lock: _synchronize.Lock | _synchronize.RLock | None = None) -> _synchronize.Condition: ...
def Semaphore(value: int = 1) -> _synchronize.Semaphore: ...
def BoundedSemaphore(value: int = 1) -> _synchronize.BoundedSemaphore: ...
def Event() -> _synchronize.Event: ...
def Barrier(parties: int, action: Callable[[], object] | None = None, timeout: float | None = None) -> _synchronize.Barrier: ...
def Queue(maxsize: int = 0) -> _queues.Queue[Any]: ...
def JoinableQueue(maxsize: int = 0) -> _queues.JoinableQueue[Any]: ...
def SimpleQueue() -> _queues.SimpleQueue[Any]: ...
def Pool(
    processes: int | None = None,
    initializer: Callable[..., object] | None = None,
    initargs: Iterable[Any] = (),
    maxtasksperchild: int | None = None,
) -> _pool.Pool: ...
