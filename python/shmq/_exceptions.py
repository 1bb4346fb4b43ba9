"""The exceptions of queues: those of the module queue."""

import queue
from queue import Empty, Full

__all__ = ["Empty", "Full", "ShutDown"]

try:
    ShutDown = queue.ShutDown  # 3.13 and later
except AttributeError:

    class ShutDown(Exception):
        """The queue was shut down: nothing can be put, and nothing is left to get."""

    ShutDown.__module__ = "shmq"  # Where programs find it.
