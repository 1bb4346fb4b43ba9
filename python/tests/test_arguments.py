"""Arguments as the standard module takes them."""

import multiprocessing as theirs
import queue

import pytest

import shmq
from shmq import multiprocessing as ours


@pytest.mark.parametrize("no", [False, 0, 0.0, "", None], ids=repr)
def test_a_flag_is_whatever_is_false(no):
    q = ours.Queue(1)
    q.put(1, no)
    with pytest.raises(queue.Full):
        q.put(2, no)
    assert q.get(no) == 1
    for verb in (q.get, q.lease, lambda block: q.get_many(2, block), shmq.BytesQueue().get, shmq.Topic().subscribe().get):
        with pytest.raises(queue.Empty):
            verb(block=no)


@pytest.mark.parametrize("yes", [True, 1, 2.5, "x", [0]], ids=repr)
def test_a_flag_is_whatever_is_true(yes):
    q = ours.Queue(1)
    q.put(1, yes, 30)
    with pytest.raises(queue.Full):
        q.put(2, yes, 0.01)
    assert q.get(yes, 30) == 1
    with pytest.raises(queue.Empty):
        q.get(yes, 0.01)


@pytest.mark.parametrize("arguments", [(0,), (1, 0.01), (False, 5), (True, -1)], ids=repr)
@pytest.mark.parametrize("name", ["Lock", "RLock", "Semaphore", "BoundedSemaphore"])
def test_locks_take_what_the_standard_ones_take(name, arguments):
    outcomes = []
    for module in (ours, theirs):
        lock = getattr(module, name)()
        outcomes.append([lock.acquire(*arguments), lock.acquire(*arguments)])
    assert outcomes[0] == outcomes[1]
