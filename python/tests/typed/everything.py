"""A user's program that uses all of the package: checked by mypy --strict and pyright, and run."""

from __future__ import annotations

import asyncio
import os
from multiprocessing.process import BaseProcess
from typing import Any, assert_type

import numpy

import shmq
from shmq import (
    BytesQueue,
    Empty,
    Error,
    Full,
    JoinableQueue,
    Lagged,
    Lease,
    ProcessPoolExecutor,
    Queue,
    ShutDown,
    SimpleQueue,
    StructQueue,
    Subscriber,
    Topic,
)
from shmq import multiprocessing
from shmq.multiprocessing import Manager, Pipe, Pool, Process, Value, current_process, get_context
from shmq.multiprocessing.connection import Connection
from shmq.multiprocessing.pool import AsyncResult, ThreadPool, WorkerDied
from shmq.multiprocessing.pool import Pool as PatientPool
from shmq.multiprocessing.queues import Queue as QueueType
from shmq.multiprocessing.shared_memory import SharedMemory
from shmq.multiprocessing.synchronize import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore

# Classes that are generic for the checkers are so at run time.
Jobs = Queue[dict[str, int]]
Weights = Topic[list[float]]
Readers = tuple[Subscriber[int], Lease[int]]


def square(n: int) -> int:
    return n * n


def queues() -> None:
    name = f"typed-{os.getpid()}"
    jobs: Queue[str] = Queue(10, name=name, capacity_bytes=1 << 16, max_spilled_bytes=0, max_deliveries=3, persist=True)
    opened: Queue[str] = Queue.open(name, timeout=1.0)
    jobs.put("a", timeout=0.5)
    jobs.put_nowait("b")
    assert_type(jobs.put_many(["c", "d"]), int)
    assert_type(opened.get(), str)
    assert_type(jobs.get(True, 1.0), str)
    assert_type(jobs.get_many(10), list[str])
    jobs.put("e")
    with jobs.lease(timeout=1) as job:
        assert_type(job, str)
    jobs.put("f")
    lease = jobs.lease()
    assert_type(lease, Lease[str])
    assert_type(lease.value, str)
    assert_type(lease.deliveries, int)
    lease.done()
    try:
        jobs.get_nowait()
    except Empty:
        pass
    full: Queue[int] = Queue(1)
    full.put(1)
    try:
        full.put(2, block=False)
    except Full:
        pass
    assert_type((jobs.qsize(), jobs.empty(), jobs.full(), jobs.name, jobs.maxsize), tuple[int, bool, bool, str, int])
    jobs.shutdown()
    try:
        jobs.get()
    except ShutDown as error:
        assert not isinstance(error, Error)
    for left in jobs:
        assert_type(left, str)
    jobs.close()
    jobs.join_thread()
    Queue.unlink(name)

    joinable: JoinableQueue[int] = JoinableQueue(3)
    joinable.put(1)
    joinable.get()
    joinable.task_done()
    joinable.join(timeout=1)

    simple: SimpleQueue[int] = SimpleQueue()
    simple.put(1)
    assert_type(simple.get(), int)


def bytes_and_structs() -> None:
    samples = BytesQueue(capacity_bytes=1 << 16)
    samples.put(b"abc", timeout=1)
    assert_type(samples.get(timeout=1), bytes)
    with samples.loan(8) as view:
        assert_type(view, memoryview)
        view[:] = bytes(8)
    with samples.lease() as view:
        assert len(view) == 8
    ticks = StructQueue(dtype=[("price", "<f8"), ("volume", "<u8")])
    ticks.put((99.5, 7))
    assert ticks.get()["volume"] == 7
    frames: Queue[dict[str, Any]] = Queue(capacity_bytes=1 << 20)
    frames.put({"pixels": numpy.zeros(100)})
    assert frames.get()["pixels"].shape == (100,)


def topics() -> None:
    weights: Topic[list[float]] = Topic(capacity_bytes=1 << 16, history=1)
    reader = weights.subscribe()
    newest = weights.subscribe_lossy()
    assert_type(reader, Subscriber[list[float]])
    weights.wait_subscribers(1, timeout=1)
    weights.publish([1.0])
    assert_type(reader.get(timeout=1), list[float])
    try:
        assert_type(newest.latest(), list[float])
    except Lagged:
        pass
    assert_type((reader.missed, reader.lag, weights.subscribers), tuple[int, int, int])
    weights.close()
    for value in reader:
        assert_type(value, list[float])


async def tasks() -> None:
    q: Queue[int] = Queue(3)
    await q.put_async(1)
    assert_type(await q.get_async(), int)
    await q.put_async(2)
    with await q.lease_async() as n:
        assert_type(n, int)
    q.shutdown()
    async for n in q:
        assert_type(n, int)


def work(q: QueueType[int], done: multiprocessing.JoinableQueue[int], lock: Lock, event: Event, ends: Connection) -> None:
    with lock:
        q.put(1)
    event.set()
    done.get()
    done.task_done()
    ends.send("sent")


def processes() -> None:
    q: multiprocessing.Queue[int] = multiprocessing.Queue(3)
    done: multiprocessing.JoinableQueue[int] = multiprocessing.JoinableQueue()
    done.put(1)
    ours, theirs = Pipe()
    lock, event = multiprocessing.Lock(), multiprocessing.Event()
    assert_type(lock, Lock)
    process = Process(target=work, args=(q, done, lock, event, theirs))
    process.start()
    assert event.wait(timeout=30)
    assert_type(q.get(timeout=30), int)
    done.join(timeout=30)
    assert ours.recv() == "sent"
    process.join()
    assert_type(process.exitcode, int | None)
    assert_type(current_process(), BaseProcess)

    assert lock.acquire(timeout=1) and lock.locked() and not lock.owner_died
    lock.mark_repaired()
    lock.release()
    recursive = multiprocessing.RLock()
    assert_type(recursive, RLock)
    with recursive, recursive:
        pass
    assert_type(multiprocessing.Semaphore(2), Semaphore)
    assert_type(multiprocessing.BoundedSemaphore(2), BoundedSemaphore)
    condition = multiprocessing.Condition(recursive)
    assert_type(condition, Condition)
    with condition:
        condition.notify(2)
        condition.notify_all()
        condition.wait(timeout=0.01)
        condition.wait_for(lambda: True, timeout=1)
    barrier = multiprocessing.Barrier(1)
    assert_type(barrier, Barrier)
    barrier.wait(timeout=1)
    with Value("i", 0).get_lock():
        pass
    memory = SharedMemory(create=True, size=100)
    memory.close()
    memory.unlink()

    context = get_context("spawn")
    assert_type(context.Queue(3), QueueType[Any])
    assert_type(context.Lock(), Lock)
    with Manager() as manager:
        shared = manager.Queue(3)
        shared.put(1)
        names = manager.dict({"a": 1})
        assert names["a"] == 1


def pools() -> None:
    with Pool(2) as pool:
        assert_type(pool.map(square, range(10)), list[int])
        result = pool.apply_async(square, (3,))
        assert_type(result, AsyncResult[int])
        assert_type(result.get(timeout=30), int)
        assert_type(pool.apply(square, (2,)), int)
        assert sum(pool.imap_unordered(square, range(4), chunksize=2)) == 14
    with PatientPool(1, retries=1) as patient:
        try:
            patient.apply(square, (2,))
        except WorkerDied as error:
            assert_type(error.attempts, int)
    with ThreadPool(1) as threads:
        assert threads.apply(square, (2,)) == 4
    with ProcessPoolExecutor(2, retries=1) as executor:
        assert_type(executor.submit(square, 3).result(timeout=30), int)
        assert list(executor.map(square, [1, 2])) == [1, 4]


if __name__ == "__main__":
    queues()
    bytes_and_structs()
    topics()
    asyncio.run(tasks())
    processes()
    pools()
    assert shmq.Queue is Queue
