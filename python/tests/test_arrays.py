"""Arrays: written once into the segment, beside their pickle."""

import pickle

import pytest

import shmq

numpy = pytest.importorskip("numpy")


@pytest.mark.parametrize("size", [0, 1, 511, 512, 10_000])
@pytest.mark.parametrize("dtype", ["f8", "u1", "c16", "U3"])
def test_an_array_arrives(size, dtype):
    q = shmq.Queue(capacity_bytes=1 << 22)
    array = numpy.arange(size).astype(dtype)
    q.put(array)
    got = q.get()
    assert got.dtype == array.dtype and (got == array).all()
    if size > 0:
        got[0] = got[-1]  # It is the receiver's own.
        assert got.flags.writeable


def test_arrays_in_containers_and_of_any_order():
    q = shmq.Queue(capacity_bytes=1 << 24)
    rows = numpy.arange(40_000.0).reshape(200, 200)
    q.put({"rows": rows, "columns": rows.T, "part": rows[::2, ::3], "fortran": numpy.asfortranarray(rows)})
    got = q.get()
    assert (got["rows"] == rows).all() and (got["columns"] == rows.T).all()
    assert (got["part"] == rows[::2, ::3]).all() and (got["fortran"] == rows).all()
    assert got["fortran"].flags.f_contiguous


def test_what_cannot_be_written_cannot_be_written_when_it_arrives():
    q = shmq.Queue(capacity_bytes=1 << 22)
    array = numpy.zeros(10_000)
    array.flags.writeable = False
    q.put(array)
    assert not q.get().flags.writeable


def test_arrays_outlive_the_queue():
    q = shmq.Queue(capacity_bytes=1 << 22)
    q.put(numpy.arange(10_000))
    got = q.get()
    q.put(numpy.zeros(10_000))
    del q
    assert got.sum() == 49_995_000


def test_buffers_of_any_object():
    q = shmq.Queue(capacity_bytes=1 << 22)
    for content in (bytearray(b"a" * 10), bytearray(b"a" * 10_000), b"b" * 10_000):
        q.put(pickle.PickleBuffer(content))
        assert bytes(q.get()) == bytes(content)


def test_a_lease_of_an_array():
    q = shmq.Queue(capacity_bytes=1 << 22)
    q.put(numpy.arange(10_000))
    with q.lease() as got:
        assert got[9_999] == 9_999
    assert q.empty()


def test_an_array_larger_than_the_ring_is_taken():
    q = shmq.Queue(capacity_bytes=1 << 16)
    q.put(numpy.arange(1_000_000))
    assert q.get().sum() == 499_999_500_000


def test_an_array_waits_for_room():
    q = shmq.Queue(capacity_bytes=1 << 16)
    with pytest.raises(shmq.Full):
        for _ in range(10):
            q.put(numpy.zeros(1000), timeout=0.01)
    q = shmq.Queue(capacity_bytes=1 << 16, max_spilled_bytes=0)
    with pytest.raises(ValueError, match="larger than"):
        q.put(numpy.zeros(100_000))
