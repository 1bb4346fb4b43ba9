"""Signals beside calls that wait: handlers run soon, and what they raise ends the call."""

import os
import queue
import signal
import threading
import time

import pytest

import shmq
from shmq import multiprocessing


@pytest.fixture
def handle():
    """Sets a handler for SIGUSR1, and sends it after a while. Returns when it was sent."""
    before = signal.getsignal(signal.SIGUSR1)
    sent, timers = [], []

    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGUSR1)

    def handle(handler, *after):
        signal.signal(signal.SIGUSR1, handler)
        for delay in after:
            timers.append(threading.Timer(delay, send))
            timers[-1].start()
        return sent

    yield handle
    for timer in timers:
        timer.join()
    signal.signal(signal.SIGUSR1, before)


class Interrupted(Exception):
    pass


def raise_interrupted(*_):
    raise Interrupted


def full_queue():
    q = shmq.Queue(1)
    q.put(0)
    return q


def joined():
    q = shmq.JoinableQueue()
    q.put(0)
    return q


def locked(make):
    lock = make()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    return lock


def waits_for_notice():
    condition = multiprocessing.Condition()
    with condition:
        try:
            condition.wait()
        finally:
            assert condition._lock._levels() == 1
            condition.notify()  # fails unless the lock is held


WAITS = {
    "get": lambda: shmq.Queue().get(),
    "put": lambda: full_queue().put(1),
    "lease": lambda: shmq.Queue().lease(),
    "join": lambda: joined().join(),
    "lock": lambda: locked(multiprocessing.Lock).acquire(),
    "rlock": lambda: locked(multiprocessing.RLock).acquire(),
    "semaphore": lambda: multiprocessing.Semaphore(0).acquire(),
    "event": lambda: multiprocessing.Event().wait(),
    "condition": waits_for_notice,
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_what_a_handler_raises_ends_the_call(handle, wait):
    # At once if the main thread gets the signal, within 0.1 s if another one does: once in five times, on a
    # machine that is busy with other things.
    for _ in range(5):
        with pytest.raises(Interrupted):
            sent = handle(raise_interrupted, 0.1)
            wait()
        took = time.monotonic() - sent[-1]
        if took < 0.3:
            return
    raise AssertionError(f"the handler ran after {took} s")


def test_a_handler_that_returns_leaves_the_deadline_as_it_is(handle):
    ran = []
    began = time.monotonic()
    handle(lambda *_: ran.append(time.monotonic()), 0.1, 0.2, 0.3)
    with pytest.raises(queue.Empty):
        shmq.Queue().get(timeout=0.6)
    took = time.monotonic() - began
    assert 0.6 <= took < 5
    # Signals that are pending together are one.
    assert 1 <= len(ran) <= 3


def test_nothing_is_taken_by_a_call_that_was_interrupted(handle):
    q = shmq.Queue()
    with pytest.raises(Interrupted):
        handle(raise_interrupted, 0.1)
        q.get()
    q.put("still there")
    assert q.qsize() == 1
    assert q.get_nowait() == "still there"


def test_a_handler_may_put_into_the_queue_that_is_waited_for(handle):
    q = shmq.Queue()
    handle(lambda *_: q.put("from the handler"), 0.1)
    assert q.get(timeout=30) == "from the handler"


def test_a_handler_may_fork(handle):
    q, said = shmq.Queue(), shmq.Queue()
    parent = os.getpid()
    pids = []

    def fork(*_):
        pids.append(os.fork())

    handle(fork, 0.1)
    threading.Timer(0.4, q.put_many, ([1, 2],)).start()
    got = q.get(timeout=30)
    if os.getpid() != parent:
        said.put(got)
        os._exit(0)
    assert {got, said.get(timeout=30)} == {1, 2}
    os.waitpid(pids[0], 0)
