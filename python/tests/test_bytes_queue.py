"""BytesQueue: bytes by copy and in place."""

import gc
import os
import pickle
import signal

import pytest

import shmq


def test_bytes_arrive():
    q = shmq.BytesQueue(3)
    for data in (b"", b"bytes", bytearray(b"array"), memoryview(b"view")[::-1].tobytes()):
        q.put(data)
        assert q.get() == bytes(data)
    with pytest.raises(shmq.Empty):
        q.get_nowait()
    for _ in range(3):
        q.put_nowait(b"x")
    assert q.full() and q.qsize() == 3
    with pytest.raises(shmq.Full):
        q.put(b"x", timeout=0.01)
    with pytest.raises(TypeError):
        q.put("text")


def test_programs_meet_by_name():
    name = f"test-{os.getpid()}-bytes"
    q = shmq.BytesQueue(name=name)
    shmq.BytesQueue.open(name).put(b"1")
    pickle.loads(pickle.dumps(q)).put(b"2")
    assert q.get() + q.get() == b"12"
    with pytest.raises(ValueError, match="holds"):
        shmq.Queue.open(name)


def test_a_loan_is_put_at_the_end_of_its_block():
    q = shmq.BytesQueue()
    with q.loan(5) as view:
        view[:] = b"hello"
        assert q.empty()
    assert q.get() == b"hello"
    with pytest.raises(ValueError):
        view[0]


def test_a_block_that_raises_puts_nothing():
    q = shmq.BytesQueue(1)
    with pytest.raises(KeyError), q.loan(5):
        raise KeyError
    q.put(b"next", timeout=5)
    assert q.get() == b"next"


def test_a_view_that_outlives_its_loan():
    q = shmq.BytesQueue(1)
    with pytest.raises(BufferError), q.loan(5) as view:
        view[:] = b"hello"
        part = view[1:]
    assert bytes(part) == b"ello"
    with pytest.raises(shmq.Full):
        q.put(b"its room is not free", block=False)
    del part, view
    gc.collect()
    q.put(b"next", timeout=5)
    assert q.get() == b"next"


def test_a_lease_is_done_at_the_end_of_its_block():
    q = shmq.BytesQueue()
    q.put(b"message")
    with pytest.raises(KeyError), q.lease() as view:
        raise KeyError
    del view
    lease = q.lease()
    assert lease.deliveries == 2
    with lease as view:
        assert bytes(view) == b"message" and view.readonly
    assert q.empty()


@pytest.mark.parametrize("maxsize", [1, 8])
def test_a_loop_of_leases_holds_no_message_while_it_waits(maxsize):
    q = shmq.BytesQueue(maxsize)
    q.put(b"message")
    with q.lease() as view:
        pass
    for _ in range(3 * maxsize):
        q.put_nowait(b"next")
        q.get_nowait()
    with pytest.raises(ValueError, match="released"):
        bytes(view)


def test_a_view_that_outlives_its_lease_pins_its_memory():
    q = shmq.BytesQueue(capacity_bytes=1 << 16)
    q.put(b"a" * 1000)
    with q.lease() as whole:
        view = whole[:]
    assert q.empty()
    for _ in range(20):
        try:
            while True:
                q.put_nowait(b"b" * 1000)
        except shmq.Full:
            pass
        while not q.empty():
            q.get()
    assert bytes(view) == b"a" * 1000
    del q
    assert bytes(view) == b"a" * 1000


def test_a_lease_with_a_view_comes_back_once_the_view_is_gone():
    q = shmq.BytesQueue()
    q.put(b"message")
    with pytest.raises(KeyError), q.lease() as whole:
        view = whole[:]
        raise KeyError
    with pytest.raises(shmq.Empty):
        q.get(timeout=0.01)
    assert bytes(view) == b"message"
    view.release()
    assert q.get(timeout=5) == b"message"


def test_a_killed_writer_and_a_killed_reader(child):
    q, said = shmq.BytesQueue(), shmq.Queue()
    q.put(b"message")

    def hold():
        lease, loan = q.lease(), q.loan(5)
        with lease, loan:
            said.put("holds both")
            signal.pause()

    pid = child(hold)
    assert said.get(timeout=10) == "holds both"
    os.kill(pid, signal.SIGKILL)
    assert q.get(timeout=10) == b"message"
    assert q.empty()


def test_numpy_in_place():
    numpy = pytest.importorskip("numpy")
    q = shmq.BytesQueue(capacity_bytes=1 << 20)
    with q.loan(8 * 1000) as view:
        array = numpy.frombuffer(view, "f8")
        array[:] = range(1000)
        del array
    with q.lease() as view:
        array = numpy.frombuffer(view, "f8")
        assert array.sum() == 499_500
    assert q.empty() and array[-1] == 999
