"""Primitives: what the death of a process leaves, and pickles at any time."""

import os
import pickle
import signal
import threading
import time

import pytest

from shmq import multiprocessing


def killed_while(child, function):
    """Forks a child that is killed in the middle of its work."""

    def work():
        function()
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(child(work), 0)


@pytest.mark.parametrize("make", [multiprocessing.Lock, multiprocessing.RLock])
def test_a_lock_whose_holder_was_killed_is_acquired(child, make):
    lock = make()
    killed_while(child, lock.acquire)
    assert lock.acquire(timeout=5)
    assert lock.owner_died
    lock.mark_repaired()
    lock.release()
    with lock:
        assert not lock.owner_died


def test_a_lock_is_released_by_another_process(child):
    lock = multiprocessing.Lock()
    lock.acquire()
    os.waitpid(child(lock.release), 0)
    assert lock.acquire(False)


def test_an_rlock_is_released_by_its_thread_alone():
    lock = multiprocessing.RLock()
    lock.acquire()
    refused = []

    def release():
        try:
            lock.release()
        except AssertionError as error:
            refused.append(error)

    thread = threading.Thread(target=release)
    thread.start()
    thread.join()
    assert len(refused) == 1
    lock.release()


def test_a_condition_wakes_the_live_and_waits_for_no_dead(child):
    condition = multiprocessing.Condition()
    waiting, woken = multiprocessing.Semaphore(0), multiprocessing.Semaphore(0)

    def sleep():
        with condition:
            waiting.release()
            if condition.wait(30):
                woken.release()

    pids = [child(sleep) for _ in range(3)]
    for _ in pids:
        assert waiting.acquire(timeout=10)
    with condition:
        pass  # The last of them waits.
    for pid in pids[:2]:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    with condition:
        condition.notify()
    assert woken.acquire(timeout=10)


def test_a_condition_gives_back_all_levels():
    condition = multiprocessing.Condition()
    with condition, condition:
        assert not condition.wait(0.01)
        assert condition._lock._levels() == 2
    assert not condition._lock.locked()


def test_a_bounded_semaphore_has_a_bound():
    semaphore = multiprocessing.BoundedSemaphore(1)
    with pytest.raises(ValueError):
        semaphore.release()
    assert semaphore.get_value() == 1
    with pytest.raises(ValueError):
        multiprocessing.Semaphore(-1)


MAKE = ["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition", "Queue", "JoinableQueue", "SimpleQueue"]


@pytest.mark.parametrize("name", MAKE)
def test_handles_pickle_at_any_time(name):
    made = getattr(multiprocessing, name)()
    copy = pickle.loads(pickle.dumps(made))
    assert type(copy) is type(made)


def test_a_pickled_lock_is_the_same_lock():
    lock = multiprocessing.Lock()
    copy = pickle.loads(pickle.dumps(lock))
    lock.acquire()
    assert not copy.acquire(False)
    copy.release()
    assert lock.acquire(False)


def test_reprs_say_who_has_it():
    lock, rlock = multiprocessing.Lock(), multiprocessing.RLock()
    assert (repr(lock), repr(rlock)) == ("<Lock(owner=None)>", "<RLock(None, 0)>")
    with lock, rlock, rlock:
        assert (repr(lock), repr(rlock)) == ("<Lock(owner=MainProcess)>", "<RLock(MainProcess, 2)>")
    assert repr(multiprocessing.BoundedSemaphore(3)) == "<BoundedSemaphore(value=3, maxvalue=3)>"


def test_a_permit_of_a_with_block_comes_back(child):
    semaphore = multiprocessing.Semaphore(2)

    def hold():
        with semaphore:
            semaphore.acquire()
            os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(child(hold), 0)
    assert semaphore.acquire(timeout=10)
    assert not semaphore.acquire(timeout=0.3)
    semaphore.release()
    with semaphore:
        assert semaphore.get_value() == 0
    assert semaphore.get_value() == 1


def arrive(barrier, said):
    try:
        said.put(barrier.wait())
    except threading.BrokenBarrierError:
        said.put("broken")


def test_a_barrier_breaks_when_a_party_is_killed_there(child):
    barrier, said = multiprocessing.Barrier(4), multiprocessing.Queue()
    victim = child(arrive, barrier, said)
    others = [child(arrive, barrier, said) for _ in range(2)]
    while barrier.n_waiting < 3:
        time.sleep(0.001)
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    assert [said.get(timeout=10) for _ in others] == ["broken", "broken"]
    assert barrier.broken and barrier.n_waiting == 0
    barrier.reset()
    for _ in range(3):
        child(arrive, barrier, said)
    arrive(barrier, said)
    assert sorted(said.get(timeout=10) for _ in range(4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("is_counted", [True, False])
def test_a_barrier_goes_on_when_a_party_is_killed_as_it_leaves(child, is_counted):
    barrier, said = multiprocessing.Barrier(2), multiprocessing.Queue()

    def killed_as_it_leaves():
        class Leaving(type(barrier)):
            def _exit(self):
                self._count += is_counted
                os.kill(os.getpid(), signal.SIGKILL)

        barrier.__class__ = Leaving
        barrier.wait()

    for _ in range(3):
        pid = child(killed_as_it_leaves)
        arrive(barrier, said)
        os.waitpid(pid, 0)
    assert "broken" not in [said.get(timeout=10) for _ in range(3)]
