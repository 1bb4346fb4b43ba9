"""Cycles through what an object holds: they are collected, and end as what is dropped does."""

import gc
import weakref

import shmq


class Job:
    """An object that knows its lease."""


def test_a_lease_that_its_object_holds_comes_back():
    q = shmq.Queue()
    q.put(Job())
    lease = q.lease()
    lease.value.lease = lease
    job = weakref.ref(lease.value)
    del lease
    gc.collect()
    assert job() is None
    assert q.qsize() == 1
    assert q.lease().deliveries == 2


def test_a_loan_that_was_entered_and_forgotten_is_aborted():
    q = shmq.BytesQueue()
    loan = q.loan(8)
    view = loan.__enter__()
    del loan, view
    gc.collect()
    # Nothing is in front of it.
    q.put(b"next")
    assert q.get_nowait() == b"next"


def test_a_loan_is_entered_again(run):
    said = run(
        """
        import shmq

        q = shmq.BytesQueue()
        loan = q.loan(2)
        loan.__enter__()
        with loan as view:
            view[:] = b"ab"
        print(q.get())
        """
    )
    assert said == ["b'ab'"]


def test_a_queue_that_holds_itself_is_collected():
    class Held(shmq.Queue):
        pass

    q = Held()
    q.itself = q
    held = weakref.ref(q)
    del q
    gc.collect()
    assert held() is None
