"""Pool: workers that are killed in every state, and tasks that do not hang."""

import contextlib
import os
import signal
import sys
import threading
import time

import pytest

from shmq import multiprocessing
from shmq.multiprocessing.pool import BrokenPool, Pool, Terminated, WorkerDied


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
                # It may have died of the last kill a moment ago.
                with contextlib.suppress(ProcessLookupError, IndexError, ZeroDivisionError):
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


def fail_and_count(path):
    with open(path, "a") as file:
        file.write("x")
    raise LookupError("no such database")


def fail_five_times(path):
    with open(path, "a+") as file:
        file.seek(0)
        fails = len(file.read()) < 5
        file.write("x")
    if fails:
        raise LookupError("not yet")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_initializer_that_always_raises_breaks_the_pool(method, tmp_path):
    path = tmp_path / "calls"
    pool = multiprocessing.get_context(method).Pool(2, fail_and_count, (str(path),))
    errors = []
    waiting = []
    with contextlib.suppress(BrokenPool):
        waiting.append(pool.apply_async(square, (1,), error_callback=errors.append))
        waiting.append(pool.map_async(square, range(20)))
        waiting.append(pool.imap(square, range(20)))
    for result in waiting:
        with pytest.raises(BrokenPool, match="no such database"):
            result.next(timeout=60) if hasattr(result, "next") else result.get(timeout=60)
    pool._core._handler.join(60)
    with pytest.raises(BrokenPool, match="no such database") as raised:
        pool.apply(square, (1,))
    assert type(raised.value.__cause__) is LookupError
    assert "fail_and_count" in str(raised.value.__cause__.__cause__), "the traceback of the worker"
    assert len(errors) == len(waiting[:1]) and all(type(error) is BrokenPool for error in errors)
    assert 3 <= len(path.read_text()) <= 5
    pool.close()
    pool.join()


def test_workers_that_are_always_killed_before_they_are_ready_break_the_pool():
    pool = multiprocessing.Pool(2, die)
    with pytest.raises(BrokenPool, match="10 workers in a row.* -9"):
        pool.apply_async(square, (1,)).get(timeout=60)
    pool.terminate()
    pool.join()


def test_an_initializer_that_works_in_the_end(tmp_path):
    with multiprocessing.Pool(8, fail_five_times, (str(tmp_path / "calls"),)) as pool:
        assert pool.map_async(square, range(100)).get(timeout=60) == [n * n for n in range(100)]


def test_results_of_a_pool_that_is_terminated_do_not_wait():
    pool = multiprocessing.Pool(1)
    errors = []
    results = [pool.apply_async(time.sleep, (60,), error_callback=errors.append) for _ in range(3)]
    results += [pool.map_async(time.sleep, [60, 60])]
    iterator = pool.imap(time.sleep, [60, 60])
    blocked = []
    thread = threading.Thread(target=lambda: blocked.append(pytest.raises(Terminated, pool.apply, time.sleep, (60,))))
    thread.start()
    time.sleep(0.1)
    pool.terminate()
    for result in results:
        with pytest.raises(Terminated):
            result.get(timeout=10)
    with pytest.raises(Terminated):
        iterator.next(timeout=10)
    with pytest.raises(StopIteration):
        iterator.next(timeout=10)
    thread.join(10)
    assert len(blocked) == 1
    assert errors == [], "who terminates a pool is told by the results"


def test_a_pool_has_one_thread():
    before = threading.active_count()
    with multiprocessing.Pool(3) as pool:
        pool.map(square, range(100))
        assert list(pool.imap(square, range(100))) == [n * n for n in range(100)]
        assert threading.active_count() == before + 1
    pool.join()
    assert threading.active_count() == before


def test_callers_in_many_threads():
    with multiprocessing.Pool(2) as pool:
        wrong = []

        def call(n):
            for i in range(200):
                if pool.apply(square, (n * i,)) != (n * i) ** 2:
                    wrong.append((n, i))

        threads = [threading.Thread(target=call, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert wrong == []


def test_callbacks_are_called_beside_a_caller_that_waits():
    with multiprocessing.Pool(2) as pool:
        called = []

        def call_back(value):
            called.append((value, threading.current_thread().name))

        slow = threading.Thread(target=pool.apply, args=(time.sleep, (0.5,)))
        slow.start()
        time.sleep(0.1)
        pool.apply_async(square, (3,), callback=call_back)
        pool.map_async(square, range(3), callback=call_back)
        while len(called) < 2:
            time.sleep(0.01)
        assert slow.is_alive(), "they did not wait for the caller"
        slow.join()
        assert sorted(called, key=str) == [(9, "shmq-pool"), ([0, 1, 4], "shmq-pool")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_raises_ends_neither_its_result_nor_the_pool():
    with multiprocessing.Pool(1) as pool:
        result = pool.apply_async(square, (3,), callback=lambda value: 1 / 0)
        assert result.get(timeout=30) == 9
        assert pool.apply_async(square, (4,)).get(timeout=30) == 16


def test_an_unpicklable_argument_fails_its_task_alone():
    with multiprocessing.Pool(1) as pool:
        errors = []
        with pytest.raises(Exception, match="pickle|local object"):
            pool.apply(square, (lambda: 0,))
        with pytest.raises(Exception, match="pickle|local object"):
            pool.apply_async(square, (lambda: 0,), error_callback=errors.append).get(timeout=30)
        assert len(errors) == 1
        results = pool.imap(square, [1, lambda: 0, 3])
        assert results.next(timeout=30) == 1
        with pytest.raises(Exception, match="pickle|local object"):
            results.next(timeout=30)
        assert results.next(timeout=30) == 9


class Unloaded(Exception):
    def __init__(self, one, two):
        super().__init__("cannot be loaded: pickle calls it with one argument")


def raise_unloaded():
    raise Unloaded(1, 2)


def test_an_exception_that_cannot_be_loaded_does_not_hang_its_caller():
    with multiprocessing.Pool(1) as pool:
        for _ in range(3):
            with pytest.raises(TypeError):
                pool.apply_async(raise_unloaded).get(timeout=30)
            with pytest.raises(TypeError):
                pool.apply(raise_unloaded)
        assert pool.apply(square, (3,)) == 9


def test_an_iterator_that_waits_for_results_gets_them():
    """As programs bound what imap reads ahead."""
    with multiprocessing.Pool(2) as pool:
        room = threading.Semaphore(2)

        def items():
            for n in range(50):
                assert room.acquire(timeout=30)
                yield n

        got, called = [], []
        for value in pool.imap(square, items()):
            got.append(value)
            room.release()
            # Other tasks go on, while the iterator waits.
            assert pool.apply_async(square, (2,), callback=called.append).get(timeout=30) == 4
        assert got == [n * n for n in range(50)] and called == [4] * 50


def test_a_signal_handler_may_call_while_its_thread_waits():
    with multiprocessing.Pool(2) as pool:
        got = []
        old = signal.signal(signal.SIGALRM, lambda *_: got.append(pool.apply(square, (5,))))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
            for _ in range(3):
                pool.apply(time.sleep, (0.2,))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
        assert len(got) >= 3 and set(got) == {25}


def test_an_interrupted_caller_loses_no_answer_of_others():
    class Interrupt(Exception):
        pass

    def interrupt(*_):
        raise Interrupt

    with multiprocessing.Pool(2) as pool:
        old = signal.signal(signal.SIGALRM, interrupt)
        try:
            for n in range(100):
                others = [pool.apply_async(square, (n + i,)) for i in range(5)] + [pool.map_async(square, range(8), 1)]
                try:
                    # Again and again: the first one is lost if it comes in a finalizer, as everywhere in Python.
                    signal.setitimer(signal.ITIMER_REAL, 0.0002 * (n % 10 + 1), 0.05)
                    while True:
                        pool.apply(square, (3,))
                except Interrupt:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                assert [r.get(timeout=30) for r in others[:-1]] == [(n + i) ** 2 for i in range(5)]
                assert others[-1].get(timeout=30) == [i * i for i in range(8)]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
        pool.close()
        pool.join()


ORPHANS = """
import os, signal, sys, time
import shmq.multiprocessing as multiprocessing

if __name__ == "__main__":
    pool = multiprocessing.get_context(sys.argv[1]).Pool(3)
    pool.map(abs, range(10))
    print(*[process.pid for process in pool._pool], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_end_with_a_parent_that_is_killed(method, tmp_path):
    import subprocess

    program = tmp_path / "program.py"
    program.write_text(ORPHANS)
    command = [sys.executable, str(program), method]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60)
    pids = [int(pid) for pid in ran.stdout.split()]
    assert len(pids) == 3
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") and not is_zombie(pid) for pid in pids):
        assert time.monotonic() < deadline, "workers outlive their pool"
        time.sleep(0.05)


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_chunksize_of_zero_is_an_error():
    with multiprocessing.Pool(1) as pool:
        for method in (pool.map, pool.imap, pool.imap_unordered):
            with pytest.raises(ValueError):
                method(square, range(3), chunksize=0)


def test_descriptors_of_a_pool_are_closed():
    with multiprocessing.Pool(2) as pool:
        pool.map(square, range(10))
    pool.join()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with multiprocessing.Pool(2) as pool:
            pool.map(square, range(10))
        pool.join()
    pool = None
    assert len(os.listdir("/proc/self/fd")) <= before
