"""multiprocessing, with queues and locks that survive the death of any process.

Every public name of the standard module is here, and its submodules. Queue, JoinableQueue,
SimpleQueue, Lock, RLock, Semaphore, BoundedSemaphore, Event, Condition, Barrier and
Manager().Queue() are this package's; what else there is, Process above all, is the standard one.
The start method is the standard module's too.
"""

import multiprocessing as _theirs

from . import context

__all__ = [name for name in dir(context._default_context) if not name.startswith("_")]
globals().update((name, getattr(context._default_context, name)) for name in __all__)

SUBDEBUG = _theirs.SUBDEBUG
SUBWARNING = _theirs.SUBWARNING


def __getattr__(name):
    # Submodules that the standard module has imported by itself, such as `process`.
    import importlib

    if hasattr(_theirs, name) and not name.startswith("_"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
