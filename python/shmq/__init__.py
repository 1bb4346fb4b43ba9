"""Queues and locks between processes that survive the death of any of them.

Queue, JoinableQueue and SimpleQueue have the verbs of multiprocessing's. A program that uses
multiprocessing changes its import: `from shmq.multiprocessing import Process, Queue, Pool`.
"""

from . import _processes, _shmq
from ._queues import JoinableQueue, Queue, SimpleQueue
from ._shmq import Array, ArrayLease, ArrayLoan, ArraySample, BytesQueue, DeadLetter, DeadLetters, Error, Lagged, Lease
from ._shmq import Publisher, Subscriber, Topic
from ._structs import StructQueue

__all__ = [
    "Array",
    "ArrayLease",
    "ArrayLoan",
    "ArraySample",
    "BytesQueue",
    "DeadLetter",
    "DeadLetters",
    "Empty",
    "Error",
    "Full",
    "JoinableQueue",
    "Lagged",
    "Lease",
    "ProcessPoolExecutor",
    "Publisher",
    "Queue",
    "ShutDown",
    "SimpleQueue",
    "StructQueue",
    "Subscriber",
    "Topic",
]

_shmq.enter_interpreter()
_processes.install()


def __getattr__(name):
    # queue.Full and its kin: the module queue is imported at first use.
    if name in ("Empty", "Full", "ShutDown"):
        from . import _exceptions

        value = globals()[name] = getattr(_exceptions, name)
        return value
    if name == "ProcessPoolExecutor":
        from .executor import ProcessPoolExecutor

        return ProcessPoolExecutor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
