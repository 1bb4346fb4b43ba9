from ._exceptions import Empty as Empty
from ._exceptions import Full as Full
from ._exceptions import ShutDown as ShutDown
from ._queues import JoinableQueue as JoinableQueue
from ._queues import Queue as Queue
from ._queues import SimpleQueue as SimpleQueue
from ._shmq import Array as Array
from ._shmq import ArrayLease as ArrayLease
from ._shmq import ArrayLoan as ArrayLoan
from ._shmq import ArraySample as ArraySample
from ._shmq import BytesQueue as BytesQueue
from ._shmq import DeadLetter as DeadLetter
from ._shmq import DeadLetters as DeadLetters
from ._shmq import Error as Error
from ._shmq import Lagged as Lagged
from ._shmq import Lease as Lease
from ._shmq import Publisher as Publisher
from ._shmq import Subscriber as Subscriber
from ._shmq import Topic as Topic
from ._structs import StructQueue as StructQueue
from .executor import ProcessPoolExecutor as ProcessPoolExecutor

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
