"""A worker of a Pool is killed in each of its states: nothing hangs, and each task has its outcome."""

import os
import pickle
import random
import signal
import threading
import time
from multiprocessing import util

import pytest

from shmq import multiprocessing
from shmq._pool import worker
from shmq.multiprocessing.pool import Pool, WorkerDied

PATIENCE = 60


def square(n):
    return n * n


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def once(path):
    """Is it the first call with that path, of all processes?"""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def die_once(path):
    if once(path):
        die()


def square_or_die_once(n, path):
    if n == 7:
        die_once(path)
    return n * n


class DiesWhenLoaded:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (die_once, (self.path,))


def ignore(n, _):
    return n * n


class DiesWhenPickled:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        die_once(self.path)
        return (str, ("pickled",))


def dies_when_pickled(path):
    return DiesWhenPickled(path)


def length_of(buffer):
    return memoryview(buffer).nbytes


class Large:
    """A buffer that is copied to shared memory while other threads run."""

    def __init__(self, buffer):
        self.buffer = buffer

    def __reduce_ex__(self, protocol):
        return (length_of, (pickle.PickleBuffer(self.buffer),))


def large_and_killed_soon(length, delay):
    threading.Timer(delay, die).start()
    return Large(bytearray(length))


def at_exit_die_once(path):
    # The last thing of all: behind what gives the names of queues back.
    util.Finalize(None, die_once, (path,), exitpriority=-(10**10))


def outcomes(results):
    """The value of each result, or WorkerDied."""

    def outcome(result):
        try:
            return result.get(timeout=PATIENCE)
        except WorkerDied:
            return WorkerDied

    return [outcome(result) for result in results]


def end(pool):
    """The pool still works, and ends."""
    assert pool.map_async(square, range(50)).get(timeout=PATIENCE) == [n * n for n in range(50)]
    pool.close()
    ended = threading.Thread(target=pool.join, daemon=True)
    ended.start()
    ended.join(PATIENCE)
    assert not ended.is_alive(), "join() hangs"


@pytest.fixture(params=[0, 1], ids=["no retries", "a retry"])
def retries(request):
    return request.param


@pytest.fixture(params=[1, 3], ids=["1 worker", "3 workers"])
def processes(request):
    return request.param


@pytest.fixture(params=["fork", "spawn"])
def context(request):
    return multiprocessing.get_context(request.param)


def test_idle(processes, context):
    pool = Pool(processes, context=context)
    assert pool.apply_async(square, (2,)).get(timeout=PATIENCE) == 4
    for victim in list(pool._pool):
        os.kill(victim.pid, signal.SIGKILL)
    assert outcomes([pool.apply_async(square, (n,)) for n in range(20)]) == [n * n for n in range(20)]
    end(pool)


def test_in_the_initializer(processes, context, tmp_path):
    pool = Pool(processes, die_once, (str(tmp_path / "died"),), context=context)
    assert outcomes([pool.apply_async(square, (n,)) for n in range(20)]) == [n * n for n in range(20)]
    end(pool)


def test_in_the_task(processes, context, retries, tmp_path):
    pool = Pool(processes, context=context, retries=retries)
    results = [pool.apply_async(square_or_die_once, (n, str(tmp_path / "died"))) for n in range(20)]
    expected = [n * n for n in range(20)]
    if not retries:
        expected[7] = WorkerDied
    assert outcomes(results) == expected
    end(pool)


def test_while_it_loads_the_task(processes, context, retries, tmp_path):
    pool = Pool(processes, context=context, retries=retries)
    killing = pool.apply_async(ignore, (7, DiesWhenLoaded(str(tmp_path / "died"))))
    others = [pool.apply_async(square, (n,)) for n in range(20)]
    assert outcomes([killing]) == [49 if retries else WorkerDied]
    assert outcomes(others) == [n * n for n in range(20)]
    end(pool)


def test_while_it_pickles_the_result(processes, context, retries, tmp_path):
    pool = Pool(processes, context=context, retries=retries)
    killing = pool.apply_async(dies_when_pickled, (str(tmp_path / "died"),))
    others = [pool.apply_async(square, (n,)) for n in range(20)]
    assert outcomes([killing]) == ["pickled" if retries else WorkerDied]
    assert outcomes(others) == [n * n for n in range(20)]
    end(pool)


@pytest.mark.parametrize("length", [400_000, 64 << 20], ids=["in the ring", "in a file of its own"])
def test_while_it_writes_the_result(length, processes):
    pool = Pool(processes)
    longest = 0.03 if length > 1 << 20 else 0.001
    for _ in range(10):
        killing = pool.apply_async(large_and_killed_soon, (length, random.random() * longest))
        others = [pool.apply_async(square, (n,)) for n in range(5)]
        assert outcomes([killing]) in ([length], [WorkerDied])
        # Its worker is killed a little later, with whatever task it has then.
        for n, outcome in enumerate(outcomes(others)):
            assert outcome in (n * n, WorkerDied)
    time.sleep(longest)
    end(pool)


@pytest.mark.parametrize("at", ["put", "done"], ids=["between the result and the release", "behind the release"])
def test_behind_the_result(at, processes, retries, tmp_path, monkeypatch):
    path = str(tmp_path / "died")
    answer = worker._Worker.answer

    class Undone:
        """A task that is not done before its worker dies."""

        def __init__(self, task):
            self.task, self.job, self.number = task, task.job, task.number

        def done(self):
            if at == "done":
                self.task.done()
            die_once(path)
            self.task.done()

    monkeypatch.setattr(worker._Worker, "answer", lambda self, task, *result: answer(self, Undone(task), *result))
    pool = Pool(processes, retries=retries, context=multiprocessing.get_context("fork"))
    results = [pool.apply_async(square, (n,)) for n in range(20)]
    results += [pool.map_async(square, range(20), chunksize=2)]
    in_order, in_any_order = pool.imap(square, range(20)), pool.imap_unordered(square, range(20))
    assert outcomes(results) == [n * n for n in range(20)] + [[n * n for n in range(20)]]
    assert list(in_order) == sorted(in_any_order) == [n * n for n in range(20)]
    assert os.path.exists(path), "no worker was killed"
    end(pool)


def test_while_it_says_that_it_is_ready(processes, tmp_path, monkeypatch):
    path = str(tmp_path / "died")
    say = worker._Worker.say

    def say_and_die(self, *what):
        say(self, *what)
        die_once(path)

    monkeypatch.setattr(worker._Worker, "say", say_and_die)
    pool = Pool(processes, context=multiprocessing.get_context("fork"))
    assert outcomes([pool.apply_async(square, (n,)) for n in range(20)]) == [n * n for n in range(20)]
    end(pool)


def test_while_it_ends_after_its_last_task(processes, context, tmp_path):
    pool = Pool(processes, at_exit_die_once, (str(tmp_path / "died"),), maxtasksperchild=2, context=context)
    assert outcomes([pool.apply_async(square, (n,)) for n in range(20)]) == [n * n for n in range(20)]
    assert os.path.exists(tmp_path / "died"), "no worker was killed"
    end(pool)


def test_at_random_with_few_tasks_each(tmp_path):
    """Starting, ending, and all between."""
    kills = int(os.environ.get("SHMQ_KILLS", "200")) // 4
    with Pool(3, maxtasksperchild=3, retries=10**6) as pool:
        results = [pool.apply_async(square, (n,)) for n in range(kills * 10)]
        for _ in range(kills):
            time.sleep(random.random() / 300)
            try:
                os.kill(random.choice(list(pool._pool) or [None]).pid, signal.SIGKILL)
            except (AttributeError, ProcessLookupError):
                pass
        assert outcomes(results) == [n * n for n in range(kills * 10)]
        end(pool)
