"""The queues of objects: what of them is naturally Python."""

import os

from . import _shmq

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]


class Queue(_shmq.Queue):
    __doc__ = _shmq.Queue.__doc__

    async def get_async(self):
        """get() for asyncio: no thread is blocked.

        Raises what get() raises. A task that is cancelled has taken nothing; use asyncio.timeout for a
        time limit. At most once, as get().

            >>> import asyncio
            >>> q = shmq.Queue(); q.put("job")
            >>> asyncio.run(q.get_async())
            'job'
        """
        from ._exceptions import Empty

        return await _until(self.get_nowait, Empty, self._readable)

    async def lease_async(self):
        """lease() for asyncio: no thread is blocked, and a task that is cancelled has taken nothing.

        At least once, as lease(): `with await q.lease_async() as obj: ...`.

            >>> import asyncio
            >>> q = shmq.Queue(); q.put("job")
            >>> async def main():
            ...     with await q.lease_async() as job:
            ...         print(job)
            >>> asyncio.run(main())
            job
        """
        from ._exceptions import Empty

        return await _until(lambda: self.lease(block=False), Empty, self._readable)

    async def lease_array_async(self):
        """lease_array() for asyncio: no thread is blocked, and a task that is cancelled has taken nothing.

            >>> import asyncio, numpy
            >>> q = shmq.Queue(); q.put(numpy.arange(4))
            >>> async def main():
            ...     with await q.lease_array_async() as a:
            ...         print(a.shape)
            >>> asyncio.run(main())
            (4,)
        """
        from ._exceptions import Empty

        return await _until(lambda: self.lease_array(block=False), Empty, self._readable)

    async def put_async(self, obj):
        """put() for asyncio: no thread is blocked.

        Raises what put() raises. A task that is cancelled has put nothing.

            >>> import asyncio
            >>> q = shmq.Queue(1)
            >>> asyncio.run(q.put_async("job")); q.get()
            'job'
        """
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
        """An object that get() took has been dealt with. ValueError if there is none.

            >>> q = shmq.JoinableQueue(); q.put("job"); q.get(); q.task_done()
            'job'
        """
        self._task_done()

    def join(self, timeout=None):
        """Waits until each object that was put has been dealt with.

        timeout: how long, in seconds; None waits for ever. TimeoutError if something was unfinished
        then. A process that is killed between get() and task_done() leaves it waiting; one that is
        killed with a lease does not.

            >>> q = shmq.JoinableQueue(); q.put("job")
            >>> q.join(timeout=0.01)
            Traceback (most recent call last):
            TimeoutError: ...
            >>> with q.lease(): pass
            >>> q.join()
        """
        self._join(timeout)


class _End:
    """What is left of the pipe in a multiprocessing.SimpleQueue: whether it is closed, and what
    multiprocessing.connection.wait and those who wait there need: concurrent.futures does.
    """

    def __init__(self, queue):
        self._queue = queue
        self._readiness = None

    @property
    def closed(self):
        return self._queue._closed

    def fileno(self):
        """A descriptor that is readable once recv() is worth a call. Asked for before each wait."""
        process = os.getpid()
        if self._readiness is None or self._readiness[0] != process:
            self._readiness = (process, self._queue._readable())
        readiness = self._readiness[1]
        readiness.rearm()
        return readiness.fileno()

    def recv(self):
        return self._queue.get()

    def close(self):
        self._queue.close()


class SimpleQueue(Queue):
    """A Queue with put, get, empty and close alone, as multiprocessing.SimpleQueue."""

    _end = None

    def __init__(self, *, name=None, capacity_bytes=None):
        super().__init__(name=name, capacity_bytes=capacity_bytes)

    def put(self, obj):
        """Puts an object; waits while there is no room. Raises what Queue.put raises."""
        Queue.put(self, obj)

    def get(self):
        """Takes the next object; waits while there is none. Raises what Queue.get raises."""
        return Queue.get(self)

    @property
    def _reader(self):
        if self._end is None:
            self._end = _End(self)
        return self._end

    _writer = _reader
