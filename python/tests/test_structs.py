"""StructQueue: structs that numpy and Rust share."""

import os
import pickle

import pytest

import shmq

numpy = pytest.importorskip("numpy")

from shmq._structs import dtype_of, structure_of  # noqa: E402

TICK = numpy.dtype([("price", "<f8"), ("volume", "<u8")])

PAIRS = [
    (TICK, "{price@0: f64, volume@8: u64}"),
    (
        numpy.dtype([("sizes", "<u4", (2,)), ("grid", "u1", (2, 3)), ("pad", "i2")]),
        "{sizes@0: [u32; 2], grid@8: [[u8; 3]; 2], pad@14: i16}",
    ),
    (numpy.dtype([("at", [("x", "<f4"), ("y", ">f4")]), ("ok", "?")]), "{at@0: {x@0: f32, y@4: f32be}, ok@8: bool}"),
    (numpy.dtype("<i8"), "i64"),
]


@pytest.mark.parametrize("dtype, structure", PAIRS, ids=lambda of: str(of)[:20])
def test_dtypes_and_schemas(dtype, structure):
    assert structure_of(dtype) == structure
    assert dtype_of(structure) == dtype


def test_enums_are_their_numbers():
    dtype = numpy.dtype([("side", "u1"), ("_unused", "u1", (3,))])
    assert dtype_of("{side@0: enum u8 {Buy=1, Sell=2}, _unused@1: [u8; 3]}") == dtype
    with pytest.raises(ValueError, match="variants"):
        dtype_of("enum u8 {Quit=1, Move=2 {x@1: u8}}")
    with pytest.raises(ValueError, match="u128"):
        dtype_of("u128")


def test_padding_is_refused():
    with pytest.raises(ValueError, match="7 bytes of padding before 'b'"):
        structure_of(numpy.dtype([("a", "u1"), ("b", "<f8")], align=True))
    with pytest.raises(ValueError, match="no type"):
        structure_of(numpy.dtype("U3"))


def test_records_arrive():
    q = shmq.StructQueue(dtype=TICK, maxsize=2)
    q.put((99.5, 7))
    q.put(numpy.array((1.0, 2), TICK))
    with pytest.raises(shmq.Full):
        q.put_nowait((0, 0))
    got = q.get()
    assert (got["price"], got["volume"]) == (99.5, 7)
    assert q.get_nowait() == numpy.array((1.0, 2), TICK)
    with pytest.raises(shmq.Empty):
        q.get(timeout=0.01)


def test_a_program_that_knows_no_dtype_opens_it():
    name = f"test-{os.getpid()}-ticks"
    q = shmq.StructQueue(name, dtype=TICK)
    q.put((1.5, 3))
    opened = shmq.StructQueue.open(name)
    assert opened.dtype == TICK
    assert opened.get()["volume"] == 3
    again = pickle.loads(pickle.dumps(q))
    assert again.dtype == TICK
    with pytest.raises(ValueError, match="price"):
        shmq.StructQueue(name, dtype=[("price", "<f8"), ("size", "<u8")])
    with pytest.raises(ValueError):
        shmq.BytesQueue.open(name)


@pytest.mark.parametrize("fields, why", [
    ([("price", "<f4"), ("volume", "<u8")], "'volume' is at byte 4, and in Rust at a multiple of 8"),
    ([("volume", "<u8"), ("price", "<f4")], "12 bytes, and in Rust a multiple of 8"),
])
def test_fields_that_rust_has_elsewhere_are_named(fields, why):
    with pytest.raises(ValueError, match=f"{why}: put larger fields first"):
        shmq.StructQueue(dtype=fields)


def test_in_place():
    q = shmq.StructQueue(dtype=TICK)
    with q.loan(TICK.itemsize) as view:
        record = numpy.frombuffer(view, TICK)
        record["price"] = 2.5
        record["volume"] = 8
        del record
    with q.lease() as view:
        assert numpy.frombuffer(view, TICK)[0]["price"] == 2.5
    with pytest.raises(ValueError):
        q.loan(3)


def test_the_command_shows_it(run):
    import subprocess
    import sys

    name = f"test-{os.getpid()}-shown"
    q = shmq.StructQueue(name, dtype=TICK)
    q.put((1, 2))
    shown = subprocess.run([sys.executable, "-m", "shmq", "ls"], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0 and name in shown.stdout, shown.stderr
    missing = subprocess.run([sys.executable, "-m", "shmq", "stat", "no-such-queue"], capture_output=True, text=True, timeout=60)
    assert missing.returncode != 0 and "no-such-queue" in missing.stderr
