"""Subscribers for asyncio."""

import asyncio

from ._exceptions import Empty, ShutDown


async def get_async(subscriber):
    try:
        return subscriber.get_nowait()
    except Empty:
        pass
    arrival = subscriber._arrival()
    loop = asyncio.get_running_loop()
    descriptor = arrival.fileno()
    try:
        while (message := arrival.poll()) is None:
            ready = loop.create_future()
            loop.add_reader(descriptor, _set, ready)
            try:
                await ready
            finally:
                loop.remove_reader(descriptor)
    finally:
        arrival.end()
    return message.load()


def _set(ready):
    if not ready.done():
        ready.set_result(None)


async def next_async(subscriber):
    try:
        return await get_async(subscriber)
    except ShutDown:
        raise StopAsyncIteration from None
