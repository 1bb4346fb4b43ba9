"""asyncio: no thread is blocked, and a task that is cancelled has done nothing."""

import asyncio
import os
import threading
import time

import pytest

import shmq


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


def test_getting_waits_for_another_process(child):
    q = shmq.Queue()

    def put():
        time.sleep(0.1)
        q.put("from a child")

    child(put)

    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        got = await q.get_async()
        ticking.cancel()
        assert ticks >= 3
        return got

    assert run(main()) == "from a child"


def test_putting_waits_for_room():
    q = shmq.Queue(1)

    async def main():
        await q.put_async(1)
        timer = threading.Timer(0.1, q.get)
        timer.start()
        await q.put_async(2)
        timer.join()
        return q.get_nowait()

    assert run(main()) == 2


def test_many_tasks_share_a_queue():
    q = shmq.Queue(3)

    async def main():
        async def put(begin):
            for n in range(begin, begin + 50):
                await q.put_async(n)

        async def get():
            return [await q.get_async() for _ in range(50)]

        *_, first, second = await asyncio.gather(put(0), put(50), get(), get())
        return sorted(first + second)

    assert run(main()) == list(range(100))


def test_a_cancelled_task_has_taken_nothing():
    q = shmq.Queue()

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(q.get_async(), 0.05)
        q.put(1)
        return await q.get_async()

    assert run(main()) == 1


def test_a_loop_ends_when_the_queue_is_shut_down():
    q = shmq.Queue()
    q.put_many("abc")

    async def main():
        asyncio.get_running_loop().call_later(0.05, q.shutdown)
        return [letter async for letter in q]

    assert run(main()) == ["a", "b", "c"]


def test_a_lease_of_a_task():
    q = shmq.Queue()

    async def main():
        asyncio.get_running_loop().call_later(0.05, q.put, "job")
        with await q.lease_async() as job:
            return job

    assert run(main()) == "job"
    assert q.empty()


def test_descriptors_do_not_pile_up():
    q = shmq.Queue()

    async def main():
        for n in range(20):
            asyncio.get_running_loop().call_later(0.001, q.put, n)
            assert await q.get_async() == n
        return len(os.listdir("/proc/self/fd"))

    assert run(main()) <= run(main()) + 2
