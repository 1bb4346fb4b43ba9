"""How a task may end without having been run to its end."""

__all__ = ["BrokenPool", "Terminated", "WorkerDied"]

_PUBLIC = "shmq.multiprocessing.pool"


class WorkerDied(Exception):
    """The worker process was killed, or ended, while it ran the task."""

    def __init__(self, attempts):
        super().__init__(attempts)
        self.attempts = attempts

    def __str__(self):
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        return f"the task was begun {times}, and its worker died each time"


class BrokenPool(RuntimeError):
    """Workers cannot be started: one after the other ended before it was ready for tasks.

    `__cause__` is what the initializer raised, if it did.
    """


class Terminated(RuntimeError):
    """The pool was terminated before the task had ended."""


for _class in (WorkerDied, BrokenPool, Terminated):
    _class.__module__ = _PUBLIC
