from queue import Empty as Empty
from queue import Full as Full

from ._queues import JoinableQueue as JoinableQueue
from ._queues import Queue as Queue
from ._queues import SimpleQueue as SimpleQueue
from ._shmq import BytesQueue as BytesQueue
from ._shmq import Error as Error
from ._shmq import Lagged as Lagged
from ._shmq import Lease as Lease
from ._shmq import Subscriber as Subscriber
from ._shmq import Topic as Topic
from ._structs import StructQueue as StructQueue
from .executor import ProcessPoolExecutor as ProcessPoolExecutor

class ShutDown(Exception): ...

__all__ = [
    "BytesQueue",
    "Empty",
    "Error",
    "Full",
    "JoinableQueue",
    "Lagged",
    "Lease",
    "ProcessPoolExecutor",
    "Queue",
    "ShutDown",
    "SimpleQueue",
    "StructQueue",
    "Subscriber",
    "Topic",
]
