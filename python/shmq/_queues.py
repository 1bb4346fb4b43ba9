"""The queues of objects: what of them is naturally Python."""

from . import _shmq

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]


class Queue(_shmq.Queue):
    __doc__ = _shmq.Queue.__doc__

    async def get_async(self):
        """get() for asyncio: no thread is blocked. A task that is cancelled has taken nothing."""
        from ._exceptions import Empty

        return await _until(self.get_nowait, Empty, self._readable)

    async def lease_async(self):
        """lease() for asyncio."""
        from ._exceptions import Empty

        return await _until(lambda: self.lease(block=False), Empty, self._readable)

    async def lease_array_async(self):
        """lease_array() for asyncio."""
        from ._exceptions import Empty

        return await _until(lambda: self.lease_array(block=False), Empty, self._readable)

    async def put_async(self, obj):
        """put() for asyncio: no thread is blocked. A task that is cancelled has put nothing."""
        while (bytes_missing := self._try_put(obj)) is not None:
            await _ready(self._writable(bytes_missing))

    def __aiter__(self):
        return self

    async def __anext__(self):
        from ._exceptions import ShutDown

        try:
            return await self.get_async()
        except ShutDown:
            raise StopAsyncIteration from None


Queue.__module__ = "shmq"


async def _until(try_once, refused, make_readiness):
    while True:
        try:
            return try_once()
        except refused:
            await _ready(make_readiness())


async def _ready(readiness):
    """Waits until a try is worth it."""
    import asyncio

    if readiness.rearm():
        return
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    descriptor = readiness.fileno()
    loop.add_reader(descriptor, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


class JoinableQueue(Queue):
    """A Queue whose join() waits until each object that was put has been dealt with.

    Each get() is owed one task_done(). A lease() is owed none: its end is its task_done, and if its
    process dies the object comes back. A process that dies between get() and task_done() leaves
    join() waiting, so use leases where processes may die, or join(timeout).
    """

    def task_done(self):
        """An object that get() took has been dealt with. ValueError if there is none."""
        self._task_done()

    def join(self, timeout=None):
        """Waits until nothing is unfinished; TimeoutError after timeout seconds."""
        self._join(timeout)


class _End:
    """What is left of the pipe in a multiprocessing.SimpleQueue: whether it is closed."""

    def __init__(self, queue):
        self._queue = queue

    @property
    def closed(self):
        return self._queue._closed


class SimpleQueue(Queue):
    """A Queue with put, get, empty and close alone, as multiprocessing.SimpleQueue."""

    def __init__(self, *, name=None, capacity_bytes=None):
        super().__init__(name=name, capacity_bytes=capacity_bytes)

    def put(self, obj):
        """Puts an object; waits while there is no room."""
        Queue.put(self, obj)

    def get(self):
        """Takes the next object; waits while there is none."""
        return Queue.get(self)

    @property
    def _reader(self):
        return _End(self)

    _writer = _reader
