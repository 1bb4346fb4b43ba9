"""ProcessPoolExecutor: futures, and workers that are killed."""

import multiprocessing
import os
import signal
import time
from concurrent.futures import BrokenExecutor, as_completed, wait

import pytest

import shmq
from shmq.multiprocessing.pool import WorkerDied


def square(n):
    return n * n


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def fail():
    raise LookupError("not there")


def test_calls_and_maps():
    with shmq.ProcessPoolExecutor(2) as executor:
        assert executor.submit(pow, 2, exp=5).result(timeout=30) == 32
        assert list(executor.map(square, range(10))) == [n * n for n in range(10)]
        futures = [executor.submit(square, n) for n in range(5)]
        assert sorted(future.result() for future in as_completed(futures, timeout=30)) == [0, 1, 4, 9, 16]
        with pytest.raises(LookupError):
            executor.submit(fail).result(timeout=30)
    with pytest.raises(RuntimeError):
        executor.submit(square, 1)


def test_a_killed_worker_breaks_its_call_alone():
    with shmq.ProcessPoolExecutor(2) as executor:
        futures = [executor.submit(square, n) for n in range(5)]
        killed = executor.submit(die)
        futures += [executor.submit(square, n) for n in range(5)]
        with pytest.raises(WorkerDied):
            killed.result(timeout=30)
        assert [future.result(timeout=30) for future in futures] == [0, 1, 4, 9, 16] * 2


def test_cancelling_and_shutting_down():
    executor = shmq.ProcessPoolExecutor(1)
    running = executor.submit(time.sleep, 60)
    waiting = executor.submit(square, 3)
    assert waiting.cancel()
    executor.shutdown(cancel_futures=True)
    assert wait([running, waiting], timeout=30).not_done == set()
    assert running.cancelled() and waiting.cancelled()


def refuse():
    raise LookupError("no such database")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_initializer_that_raises_is_a_broken_executor(method):
    context = multiprocessing.get_context(method)
    with shmq.ProcessPoolExecutor(2, context, refuse) as executor:
        futures = []
        with pytest.raises(BrokenExecutor, match="no such database") as raised:
            while True:
                futures.append(executor.submit(square, 3))
                time.sleep(0.01)
        assert type(raised.value.__cause__) is LookupError
        for future in futures:
            with pytest.raises(BrokenExecutor, match="no such database"):
                future.result(timeout=30)
