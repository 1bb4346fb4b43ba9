"""Deaths and what comes of them, by the module logging."""

import logging
import os
import signal
import time

import pytest

import shmq
from shmq import multiprocessing
from shmq.multiprocessing.pool import BrokenPool, WorkerDied

PATIENCE = 60


@pytest.fixture
def events(caplog):
    """The texts of what was logged by "shmq"."""
    caplog.set_level(logging.INFO, logger="shmq")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "shmq"]


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def dying_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            die()
    os.waitpid(pid, 0)


def test_redelivery(events):
    q = shmq.Queue(name=None)
    q.put("job")
    kept = []
    dying_child(lambda: kept.append(q.lease()))
    with q.lease(timeout=PATIENCE) as job:
        assert job == "job"
    assert any("redelivered" in event and q.name in event and "messages=1" in event for event in events())
    assert any("recovered after a death" in event for event in events())


@pytest.mark.parametrize("make", [multiprocessing.Lock, multiprocessing.RLock])
@pytest.mark.parametrize("repairs", [False, True])
def test_a_lock_whose_owner_died_once(make, repairs, events):
    lock = make()
    dying_child(lock.acquire)
    for _ in range(3):
        with lock:
            assert repairs or lock.owner_died
            if repairs:
                lock.mark_repaired()
    assert events() == [f"a process died that held a lock lock={lock._name!r}".replace("'", '"')]


def test_a_handler_that_wants_the_lock_whose_owner_died():
    lock = multiprocessing.Lock()
    dying_child(lock.acquire)
    handled = []

    class Handler(logging.Handler):
        """As programs write to one file from several processes."""

        def emit(self, record):
            assert lock.acquire(timeout=PATIENCE)
            handled.append(record.getMessage())
            lock.release()

    logger, handler = logging.getLogger("shmq"), Handler()
    logger.addHandler(handler)
    try:
        with lock:
            pass
    finally:
        logger.removeHandler(handler)
    assert len(handled) == 1


def test_a_worker_that_died(events):
    with multiprocessing.Pool(1) as pool:
        with pytest.raises(WorkerDied):
            pool.apply_async(die).get(timeout=PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while not events():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert any(event.startswith("a pool's worker died pid=") and event.endswith("exitcode=-9") for event in events())


def refuse():
    raise LookupError("no such database")


def test_an_initializer_that_raised(events):
    with multiprocessing.Pool(1, refuse) as pool:
        with pytest.raises(BrokenPool):
            pool.apply_async(die).get(timeout=PATIENCE)
    raised = [event for event in events() if "initializer" in event and "LookupError('no such database')" in event]
    assert len(raised) >= 3 and any("broken" in event for event in events())


def test_nothing_is_logged_and_logging_is_not_imported_where_nothing_dies(run):
    lines = run(
        """
        import sys, shmq, shmq.multiprocessing as multiprocessing
        q, lock = shmq.Queue(), multiprocessing.Lock()
        for n in range(100):
            q.put(n)
            with q.lease() as got:
                assert got == n
            with lock:
                pass
        try:
            q.get(timeout=0.2)
        except shmq.Empty:
            pass
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(abs, range(100)) == list(range(100))
        pool.join()
        print("logging" in sys.modules)
        """
    )
    assert lines == ["False"]


@pytest.mark.parametrize("imports", ["", "import logging"])
def test_nothing_is_printed_where_logging_was_not_set_up(imports, run):
    lines = run(
        f"""
        {imports}
        import os, signal, sys, shmq.multiprocessing as multiprocessing
        had_logging = "logging" in sys.modules
        def die():
            os.kill(os.getpid(), signal.SIGKILL)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            try:
                pool.apply(die)
            except Exception as error:
                print(type(error).__name__)
        pool.join()
        print(("logging" in sys.modules) == had_logging)
        """
    )
    assert lines == ["WorkerDied", "True"]
