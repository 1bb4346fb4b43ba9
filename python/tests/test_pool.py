"""Pool: workers that are killed in every state, and tasks that do not hang."""

import os
import signal
import time

import pytest

from shmq import multiprocessing
from shmq.multiprocessing.pool import Pool, WorkerDied


def square(n):
    return n * n


def die(_=None):
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_seven(n):
    if n == 7:
        die()
    return n


def die_the_first_time(path):
    if not os.path.exists(path):
        open(path, "w").close()
        die()
    return "done"


def leave():
    os._exit(3)


class Unloadable:
    def __reduce__(self):
        return (refuse, ())


def refuse():
    raise LookupError("cannot be loaded")


def test_a_task_whose_worker_is_killed_fails_and_others_go_on():
    with multiprocessing.Pool(2) as pool:
        killed = pool.apply_async(die)
        assert pool.map(square, range(20)) == [n * n for n in range(20)]
        with pytest.raises(WorkerDied, match="once"):
            killed.get(timeout=30)
        with pytest.raises(WorkerDied):
            pool.apply_async(leave).get(timeout=30)
        assert pool.apply(square, (3,)) == 9


def test_a_map_with_a_killed_task_fails():
    with multiprocessing.Pool(2) as pool, pytest.raises(WorkerDied):
        pool.map_async(die_at_seven, range(20), chunksize=1).get(timeout=30)


def test_an_imap_fails_at_the_killed_task_alone():
    with multiprocessing.Pool(2) as pool:
        results = pool.imap(die_at_seven, range(20))
        assert [results.next(timeout=30) for _ in range(7)] == list(range(7))
        with pytest.raises(WorkerDied):
            results.next(timeout=30)
        assert list(results) == list(range(8, 20))


def test_a_task_is_run_again_where_that_was_asked(tmp_path):
    with Pool(2, retries=1) as pool:
        assert pool.apply_async(die_the_first_time, (str(tmp_path / "died"),)).get(timeout=30) == "done"
        with pytest.raises(WorkerDied, match="2 times"):
            pool.apply_async(die).get(timeout=30)


def test_all_idle_workers_killed():
    with multiprocessing.Pool(3) as pool:
        assert pool.apply(square, (2,)) == 4
        for worker in list(pool._pool):
            os.kill(worker.pid, signal.SIGKILL)
        assert pool.apply_async(square, (3,)).get(timeout=30) == 9
        pool.close()
        pool.join()


def test_terminate_ends_beside_killed_and_busy_workers():
    pool = multiprocessing.Pool(2)
    for _ in range(4):
        pool.apply_async(time.sleep, (60,))
    os.kill(pool._pool[0].pid, signal.SIGKILL)
    time.sleep(0.05)
    began = time.monotonic()
    pool.terminate()
    pool.join()
    assert time.monotonic() - began < 20


def test_an_argument_that_cannot_be_loaded_fails_its_task():
    with multiprocessing.Pool(1) as pool:
        with pytest.raises(LookupError):
            pool.apply_async(square, (Unloadable(),)).get(timeout=30)
        assert pool.apply(square, (3,)) == 9


def test_kills_at_random():
    kills = int(os.environ.get("SHMQ_KILLS", "200")) // 10
    with Pool(4, retries=10**6) as pool:
        results = pool.imap_unordered(square, range(kills * 200), chunksize=10)
        got = []
        for n, result in enumerate(results):
            got.append(result)
            if n % 200 == 100:
                os.kill(pool._pool[n // 200 % len(pool._pool)].pid, signal.SIGKILL)
        assert sorted(got) == [n * n for n in range(kills * 200)]


def test_the_pool_takes_queues_as_arguments():
    q = multiprocessing.Queue()
    with multiprocessing.Pool(1) as pool:
        pool.apply(q.put, ("from a worker",))
    assert q.get(timeout=5) == "from a worker"


def test_terminate_ends_beside_a_task_that_there_is_no_room_for():
    for _ in range(5):
        pool = multiprocessing.Pool(2)
        pool.map_async(time.sleep, [60] * 50_000, chunksize=1)
        while not pool._core.tasks.qsize():
            time.sleep(0.001)
        time.sleep(0.05)
        began = time.monotonic()
        pool.terminate()
        pool.join()
        assert time.monotonic() - began < 20
