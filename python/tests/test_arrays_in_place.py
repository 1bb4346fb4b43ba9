"""Arrays in place: filled in the segment, read in the segment."""

import gc
import importlib.util
import os
import pathlib
import signal
import struct
import subprocess
import sys
import threading
import time

import pytest

import shmq


def queue(**options):
    return shmq.Queue(**{"capacity_bytes": 1 << 20, **options})


def fill(q, values, dtype="d"):
    with q.loan(len(values), dtype) as a:
        for at, value in enumerate(values):
            a[at] = value


class TestWithoutNumpy:
    def test_what_a_loan_fills_a_lease_reads(self):
        q = queue()
        with q.loan((2, 3), "i4") as a:
            assert (a.shape, a.strides, a.format, a.itemsize, a.ndim, a.nbytes) == ((2, 3), (12, 4), "i", 4, 2, 24)
            assert not a.readonly and len(a) == 2
            a[1, 2] = 7
            assert q.empty()
        with q.lease_array() as b:
            assert b.shape == (2, 3) and b.readonly and b.deliveries == 1
            assert b[1, 2] == 7
            with pytest.raises(TypeError, match="read-only"):
                b[1, 2] = 8
            assert q.empty()
        assert q.qsize() == 0

    @pytest.mark.parametrize("dtype", ["?", "b", "B", "h", "i", "l", "Q", "e", "f", "d", "u1", "<i8", "float32", "complex64", int, float])
    def test_formats(self, dtype):
        q = queue()
        with q.loan(4, dtype) as a:
            size = a.itemsize
            assert memoryview(a).nbytes == 4 * size
            if "Z" not in a.format:
                assert struct.calcsize(a.format) == size
        with q.lease_array() as b:
            assert (b.itemsize, len(b)) == (size, 4)

    def test_standard_and_foreign_formats(self):
        q = queue()
        with q.loan(1, ">i") as a:
            struct.pack_into(">i", a, 0, 258)
            assert (a.format, a.itemsize) == (">i", 4)
        with q.lease_array() as b:
            assert bytes(b) == b"\0\0\1\2"
        with q.loan(1, "<l") as a:
            assert a.itemsize == 4  # Of the module struct.

    def test_elements_begin_at_a_line_of_the_cache(self):
        import ctypes

        q = queue()
        for length in (1, 3, 64, 1000):
            q.put("in between")
            with q.loan(length, "b") as a:
                address = ctypes.addressof(ctypes.c_char.from_buffer(a))
                assert address % 64 == 0
            gc.collect()
            q.get()
            with q.lease_array() as b:
                assert b.nbytes == length

    def test_what_asks_for_more_is_refused(self):
        q = queue()
        for shape in (-1, (2, -1), (1 << 40, 1 << 40), (1,) * 65):
            with pytest.raises((ValueError, OverflowError)):
                q.loan(shape, "d")
        for dtype in ("no such", None, object()):
            with pytest.raises(TypeError):
                q.loan(1, dtype)
        q = queue(max_spilled_bytes=0)
        with pytest.raises(ValueError, match="larger than"):
            q.loan(1 << 20, "d")
        assert q.empty()

    def test_shapes_without_elements(self):
        q = queue()
        for shape in ((), 0, (3, 0, 2)):
            with q.loan(shape, "d"):
                pass
            with q.lease_array() as b:
                assert b.shape == ((shape,) if isinstance(shape, int) else shape)
                assert b.nbytes == (8 if shape == () else 0)

    def test_one_that_spills(self):
        q = queue(capacity_bytes=1 << 16)
        with q.loan(1 << 20, "B") as a:
            a[1_000_000] = 9
        with q.lease_array() as b:
            assert b[1_000_000] == 9 and b.nbytes == 1 << 20
            view = memoryview(b)
        assert view[1_000_000] == 9
        del view

    def test_a_block_that_raises_puts_nothing(self):
        q = queue()
        with pytest.raises(KeyError):
            with q.loan(4, "d") as a:
                raise KeyError
        assert q.empty()
        with pytest.raises(BufferError, match="ended"):
            memoryview(a)
        fill(q, [1.0])
        assert q.get_nowait()[0] == 1.0

    def test_a_view_that_is_alive_aborts(self):
        q = queue()
        with pytest.raises(BufferError, match="not put"):
            with q.loan(4, "d") as a:
                view = memoryview(a)
        assert q.empty()
        view[0] = 1.0  # Still the loan's own memory.
        fill(q, [2.0])
        assert view[0] == 1.0
        del view
        with q.lease_array() as b:
            assert b[0] == 2.0

    def test_a_block_that_raises_under_a_view_raises_the_same(self):
        q = queue()
        with pytest.raises(KeyError):
            with q.loan(4, "d") as a:
                view = memoryview(a)
                raise KeyError
        assert q.empty() and view.nbytes == 32

    def test_without_a_block(self):
        q = queue()
        a = q.loan(1, "d")
        view = memoryview(a)
        with pytest.raises(BufferError):
            a.commit()
        view.release()
        a[0] = 5.0
        a.commit()
        with pytest.raises(RuntimeError):
            a.commit()
        b = q.lease_array()
        view = memoryview(b)
        with pytest.raises(BufferError):
            b.release()
        assert b[0] == 5.0
        view.release()
        b.release()
        with pytest.raises(RuntimeError):
            b.release()
        assert q.empty()
        a = q.loan(1, "d")
        a.abort()
        a.abort()
        q.loan(1, "d")  # Dropped.
        assert q.empty()

    def test_a_lease_comes_back(self):
        q = queue()
        fill(q, [3.0])
        with pytest.raises(KeyError):
            with q.lease_array() as b:
                raise KeyError
        q.lease_array()  # Dropped.
        with q.lease_array() as b:
            assert b.deliveries == 3
            b.give_back()
        with q.lease_array() as b:
            assert b[0] == 3.0
        assert q.empty()

    def test_a_lease_comes_back_once_its_last_view_is_gone(self):
        q = queue()
        fill(q, [3.0])
        with pytest.raises(KeyError):
            with q.lease_array() as b:
                view = memoryview(b)
                raise KeyError
        assert q.empty() and view[0] == 3.0
        view.release()
        assert q.get_nowait()[0] == 3.0

    def test_the_room_is_free_with_the_last_view(self):
        q = queue(capacity_bytes=1 << 16)
        with q.loan(30_000, "B") as a:
            a[7] = 7
        with q.lease_array() as b:
            view, other = memoryview(b), memoryview(b)
        assert q.empty()
        with pytest.raises(BufferError, match="ended"):
            memoryview(b)
        for _ in range(3):
            try:
                q.put(bytes(20_000), timeout=0.01)
                q.get()
            except shmq.Full:
                break
        else:
            pytest.fail("the room of a view was used")
        view.release()
        assert other[7] == 7
        other.release()
        for _ in range(8):
            q.put(bytes(20_000), timeout=10)
            q.get()

    def test_views_outlive_the_queue(self):
        q = queue()
        fill(q, [4.0] * 100)
        with q.lease_array() as b:
            view = memoryview(b)
        del q, b
        gc.collect()
        assert view[99] == 4.0

    def test_a_message_that_is_no_array_is_given_back(self):
        q = queue()
        for message in ("text", b"\2\0\0\0", {"a": bytes(10_000)}):
            q.put(message)
            with pytest.raises(TypeError, match="given back"):
                q.lease_array()
            assert q.get_nowait() == message

    def test_waiting(self):
        q = queue(maxsize=1)
        with pytest.raises(shmq.Empty):
            q.lease_array(timeout=0.01)
        with pytest.raises(shmq.Empty):
            q.lease_array(block=False)
        q.put(1)
        with pytest.raises(shmq.Full):
            q.loan(1, "d", timeout=0.01)
        timer = threading.Timer(0.05, q.get)
        timer.start()
        fill(q, [1.0])
        timer.join()
        q.shutdown()
        with pytest.raises(shmq.ShutDown):
            q.loan(1, "d")
        with q.lease_array():
            pass
        with pytest.raises(shmq.ShutDown):
            q.lease_array()
        q.close()
        with pytest.raises(ValueError, match="closed"):
            q.lease_array()

    def test_numpy_is_not_imported(self, run):
        assert run(
            """
            import sys, shmq
            q = shmq.Queue()
            with q.loan(3, "f4") as a:
                a[0] = 1.5
            with q.lease_array() as b:
                print(b[0], "numpy" in sys.modules)
            """
        ) == ["1.5 False"]

    def test_threads_fill_and_read(self):
        q = queue(capacity_bytes=1 << 16)
        sums, kept = [], threading.Lock()

        def write(of):
            for n in range(100):
                fill(q, [float(of), float(n)])

        def read():
            for _ in range(100):
                with q.lease_array(timeout=30) as b:
                    with kept:
                        sums.append(b[0] * 1000 + b[1])

        threads = [threading.Thread(target=write, args=(of,)) for of in (0, 1)] + [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(sums) == [of * 1000 + n for of in (0, 1) for n in range(100)]

    def test_a_garbled_message_is_no_array(self):
        q = shmq.Queue(name=f"test-{os.getpid()}-garbled")
        head = bytes([2, 0, 0, 0, 0, 1, 1, 0])
        words = [(0, 8, 1), (32, 8, 1), (40, 8, 1 << 62), (1 << 63, 8, 1), (33, 8, 40), (33, 1, 1), (33, 0, 1), (40, 8, -1)]
        for begin, size, length in words:
            raw = head + struct.pack("<QQq", begin, size, length) + b"d" + bytes(8)
            put_raw(q, raw)
            with pytest.raises(TypeError):
                q.lease_array()
            with pytest.raises(ValueError):
                q.get()


def put_raw(q, raw):
    """Puts bytes as they are: a peer that breaks the rules."""
    import ctypes

    with q.loan(len(raw), "B") as a:
        elements = ctypes.addressof(ctypes.c_char.from_buffer(a))
        payload = elements - 40  # Its head has 33 bytes.
        while ctypes.string_at(payload, 4) != b"\2\0\0\0":
            payload -= 8
        assert elements - payload < 128
        ctypes.memset(payload, 0, elements - payload + len(raw))
        ctypes.memmove(payload, raw, len(raw))
        gc.collect()


class TestDeaths:
    def test_a_loan_of_a_killed_process_is_skipped(self, child):
        q, said = queue(), shmq.Queue()

        def work():
            a = q.loan(1000, "d")
            a[0] = 1.0
            said.put("has it")
            signal.pause()

        pid = child(work)
        assert said.get(timeout=10) == "has it"
        fill(q, [2.0])
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with q.lease_array(timeout=10) as b:
            assert b[0] == 2.0
        assert q.empty()

    @pytest.mark.parametrize("with_view", [False, True])
    def test_a_lease_of_a_killed_process_comes_back(self, child, with_view):
        q, said = queue(), shmq.Queue()
        fill(q, [6.0])

        def work():
            b = q.lease_array()
            view = memoryview(b) if with_view else None
            said.put(b[0])
            signal.pause()
            del view

        pid = child(work)
        assert said.get(timeout=10) == 6.0
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with q.lease_array(timeout=10) as b:
            assert b[0] == 6.0 and b.deliveries == 2
        assert q.empty()

    def test_the_room_of_a_killed_readers_view_is_free(self, child):
        q, said = queue(capacity_bytes=1 << 16), shmq.Queue()
        with q.loan(30_000, "B"):
            pass

        def work():
            with q.lease_array() as b:
                view = memoryview(b)
            said.put("done")
            signal.pause()
            del view

        pid = child(work)
        assert said.get(timeout=10) == "done"
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for _ in range(8):
            q.put(bytes(20_000), timeout=10)
            q.get()
        assert q.empty()

    def test_a_child_that_inherits_one(self, child):
        q, said = queue(), shmq.Queue()
        fill(q, [8.0])
        a, b = q.loan(1, "d"), q.lease_array()

        def work():
            for array in (a, b):
                try:
                    memoryview(array)
                except BufferError as error:
                    said.put(str(error))
            for end in (a.commit, b.release):
                try:
                    end()
                except shmq.Error as error:
                    said.put(type(error).__name__)
            said.put(gc.collect() >= 0)

        pid = child(work)
        got = [said.get(timeout=10) for _ in range(5)]
        assert got == ["the array belongs to the parent process"] * 2 + ["Error"] * 2 + [True]
        assert os.waitpid(pid, 0)[1] == 0
        a[0] = 9.0
        a.commit()
        assert b[0] == 8.0
        b.release()
        with q.lease_array() as b:
            assert b[0] == 9.0

    def test_a_child_that_leaves_an_inherited_block(self, child):
        q = queue()
        with q.loan(1, "d") as a:
            pid = os.fork()
            if pid == 0:
                try:
                    a.__exit__(None, None, None)
                except shmq.Error:
                    os._exit(7)
                os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
            a[0] = 1.0
        assert q.get_nowait()[0] == 1.0

    @pytest.mark.parametrize("what", ["view of a lease", "view of a pinned one", "loan", "view of a loan", "in a daemon thread"])
    def test_an_interpreter_that_ends_with_one(self, run, what):
        name = f"test-{os.getpid()}-exit"
        q = shmq.Queue(name=name, capacity_bytes=1 << 20)
        fill(q, [1.0])
        lines = run(
            """
            import sys, threading, time, shmq
            q = shmq.Queue.open(sys.argv[1])
            what = sys.argv[2]
            if what == "view of a lease":
                b = q.lease_array()
                view = memoryview(b)
            elif what == "view of a pinned one":
                with q.lease_array() as b:
                    view = memoryview(b)
            elif what == "loan":
                a = q.loan(3, "d")
            elif what == "view of a loan":
                a = q.loan(3, "d")
                view = memoryview(a)
            else:
                def work():
                    with q.lease_array() as b:
                        view = memoryview(b)
                        ready.set()
                        time.sleep(100)
                ready = threading.Event()
                threading.Thread(target=work, daemon=True).start()
                ready.wait()
            print("ends")
            """,
            name,
            what,
        )
        assert lines == ["ends"]
        if what != "view of a pinned one":
            with q.lease_array(timeout=10) as b:
                assert b[0] == 1.0
        fill(q, [2.0])
        with q.lease_array(timeout=10) as b:
            assert b[0] == 2.0
        assert q.empty()

    def test_writers_and_readers_are_killed_and_nothing_is_lost(self, child):
        """Each array is read by a reader that lives, once or more; none is torn."""
        q, seen = queue(capacity_bytes=1 << 18), shmq.Queue(capacity_bytes=1 << 20)
        total = 300

        def write():
            for n in range(total):
                with q.loan((16, 16), "i8") as a:
                    view = memoryview(a).cast("B").cast("q")
                    for at in range(256):
                        view[at] = n
                    view.release()
                    gc.collect(0)

        def read():
            while True:
                with q.lease_array() as b:
                    view = memoryview(b).cast("B").cast("q")
                    values = set(view)
                    view.release()
                    seen.put((values.pop(), len(values)))

        writer = child(write)
        readers = [child(read), child(read)]
        got = set()
        deadline = time.monotonic() + 60
        kills = 0
        while len(got) < total:
            assert time.monotonic() < deadline, len(got)
            n, others = seen.get(timeout=20)
            assert others == 0
            got.add(n)
            if len(got) // 30 > kills:
                kills += 1
                dead = readers.pop(0)
                os.kill(dead, signal.SIGKILL)
                os.waitpid(dead, 0)
                readers.append(child(read))
        assert got == set(range(total)) and kills >= 9
        os.waitpid(writer, 0)
        for reader in readers:
            os.kill(reader, signal.SIGKILL)


class TestNumpy:
    numpy = property(lambda self: pytest.importorskip("numpy"))

    @pytest.mark.parametrize("dtype", ["f8", ">f4", "c16", "?", "i2", [("price", "<f8"), ("sizes", "<u4", (2,))], "U3", "S5", "f2"])
    @pytest.mark.parametrize("shape", [5, (2, 3), (0, 4), ()])
    def test_in_place_and_by_copy(self, dtype, shape):
        numpy = self.numpy
        q = queue()
        expected = numpy.ones(shape, dtype)
        with q.loan(shape, numpy.dtype(dtype)) as a:
            view = numpy.asarray(a)
            assert view.dtype == expected.dtype and view.shape == expected.shape and view.flags.writeable
            view[...] = expected
            del view
        with q.lease_array() as b:
            view = numpy.asarray(b)
            assert view.dtype == expected.dtype and not view.flags.writeable
            assert (view == expected).all()
            q.put(view)
            q.put(b)
        for _ in range(2):
            got = q.get()
            assert type(got) is numpy.ndarray and got.dtype == expected.dtype and (got == expected).all()
        with q.loan(shape, dtype) as a:
            numpy.asarray(a)[...] = expected
        got = q.get()
        assert got.flags.writeable and got.shape == expected.shape and (got == expected).all()

    def test_dtypes_that_no_buffer_has(self):
        numpy = self.numpy
        q = queue()
        for dtype in ("M8[s]", "O", "m8[ns]"):
            with pytest.raises(TypeError):
                q.loan(1, numpy.dtype(dtype))
            array = numpy.zeros(3, dtype)
            q.put(array)
            with pytest.raises(TypeError, match="given back"):
                q.lease_array()
            assert q.get().dtype == array.dtype

    def test_what_was_put_is_leased(self):
        numpy = self.numpy
        q = queue()
        rows = numpy.arange(12.0).reshape(3, 4)
        for array in (rows, numpy.asfortranarray(rows), rows.T, rows[1], rows[:0]):
            q.put(array)
            with q.lease_array() as b:
                assert b.strides == array.strides
                assert (numpy.asarray(b) == array).all() and numpy.asarray(b).shape == array.shape
            q.put(array)
            got = q.get()
            assert (got == array).all() and got.flags.f_contiguous == array.flags.f_contiguous
        q.put(rows[:, ::2])  # Not in one piece.
        with pytest.raises(TypeError):
            q.lease_array()
        assert (q.get() == rows[:, ::2]).all()

    def test_a_subclass_stays_one(self):
        numpy = self.numpy
        q = queue()
        q.put(numpy.ma.masked_array([1, 2], [True, False]))
        assert isinstance(q.get(), numpy.ma.MaskedArray)

    def test_views_of_numpy_count(self):
        numpy = self.numpy
        q = queue()
        with pytest.raises(BufferError):
            with q.loan(4, "f4") as a:
                view = numpy.asarray(a)[1:]
        assert q.empty()
        del view
        with q.loan(4, "f4") as a:
            numpy.asarray(a)[:] = 2
        with q.lease_array() as b:
            kept = numpy.asarray(b)[2:]
        del b
        assert q.empty() and kept.sum() == 4

    def test_between_processes(self, child):
        numpy = self.numpy
        there, back = queue(capacity_bytes=8 << 20), queue()

        def work():
            for _ in range(20):
                with there.lease_array() as b:
                    total = numpy.asarray(b).sum()
                with back.loan((), "f8") as a:
                    numpy.asarray(a)[()] = total

        child(work)
        for n in range(20):
            with there.loan((100, 1000), "f8") as a:
                numpy.asarray(a)[:] = n
            with back.lease_array(timeout=30) as b:
                assert b[()] == n * 100_000


JAX = """
import gc, jax, numpy, shmq
q = shmq.Queue()

a = q.loan((4, 8), "f4")
numpy.asarray(a)[:] = 2
array = jax.dlpack.from_dlpack(a)
assert array.shape == (4, 8) and float(array.sum()) == 64.0
try:
    a.commit()
except BufferError:
    print("in place")
del array
gc.collect()
a.commit()

class Copied:  # For a consumer that does not ask for a copy.
    def __init__(self, array):
        self.array = array
    def __dlpack__(self, **options):
        return self.array.__dlpack__(copy=True)
    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

with q.lease_array() as b:
    try:
        jax.dlpack.from_dlpack(b)  # It asks for no version that can say so.
    except BufferError as error:
        assert "read-only" in str(error)
        print("read-only")
    array = jax.numpy.asarray(numpy.asarray(b))
    copy = jax.dlpack.from_dlpack(Copied(b))
assert float(array.sum()) == float(copy.sum()) == 64.0 and q.empty()

with q.loan(4, "bfloat16") as a:
    assert numpy.asarray(a).dtype == "u2" and a.format == "bfloat16"
    numpy.asarray(a)[:] = 0x3F80  # 1.0
array = jax.dlpack.from_dlpack(q.get())
assert float(array.sum()) == 4.0
print(array.dtype)
"""


def dlpack_version(capsule):
    return "dltensor_versioned" in repr(capsule)


class TestDlpack:
    def test_versions_and_the_flag(self):
        q = queue()
        with q.loan(3, "f4") as a:
            assert a.__dlpack_device__() == (1, 0)
            assert not dlpack_version(a.__dlpack__())
            assert not dlpack_version(a.__dlpack__(max_version=(0, 8)))
            assert dlpack_version(a.__dlpack__(max_version=(1, 0)))
            assert dlpack_version(a.__dlpack__(max_version=(2, 3), dl_device=(1, 0)))
            with pytest.raises(BufferError):
                a.__dlpack__(dl_device=(2, 0))
            with pytest.raises(RuntimeError):
                a.__dlpack__(stream=1)
        with q.lease_array() as b:
            for version in (None, (0, 8)):
                with pytest.raises(BufferError, match="read-only"):
                    b.__dlpack__(max_version=version)
            assert dlpack_version(b.__dlpack__(max_version=(1, 0)))
            assert not dlpack_version(b.__dlpack__(copy=True))
        with pytest.raises(BufferError, match="ended"):
            b.__dlpack__(max_version=(1, 0))
        assert q.empty()

    def test_a_capsule_is_a_view(self):
        q = queue()
        with pytest.raises(BufferError, match="not put"):
            with q.loan(3, "f4") as a:
                capsule = a.__dlpack__()
        del capsule
        fill(q, [1.0])
        with q.lease_array() as b:
            capsule = b.__dlpack__(max_version=(1, 0))
            with pytest.raises(BufferError):
                b.release()
            del capsule
            b.release()

    def test_elements_that_it_has_not(self):
        q = queue()
        with q.loan(3, ">i4") as a:
            with pytest.raises(BufferError, match="elements"):
                a.__dlpack__()

    @pytest.mark.parametrize("dtype", ["f4", "i8", "u1", "?", "c8", "f2"])
    @pytest.mark.parametrize("shape", [(), 3, (2, 3), (0, 2)])
    def test_numpy(self, dtype, shape):
        numpy = pytest.importorskip("numpy", "2.1")
        q = queue()
        with q.loan(shape, dtype) as a:
            array = numpy.from_dlpack(a)
            assert array.dtype == numpy.dtype(dtype) and array.shape == a.shape and array.flags.writeable
            array[...] = 1
            del array
        q.put(numpy.asfortranarray(numpy.ones(shape, dtype)))
        for _ in range(2):
            with q.lease_array() as b:
                array = numpy.from_dlpack(b)
                assert not array.flags.writeable and array.shape == b.shape and array.strides == b.strides
                copy = numpy.from_dlpack(b, copy=True)
                copy[...] = 0
            assert (array == 1).all() and q.qsize() <= 1
            del array

    def test_jax(self):
        """In an interpreter of its own: jax starts threads, beside which nothing here may fork."""
        if importlib.util.find_spec("jax") is None:
            pytest.skip("jax is not installed")
        ran = subprocess.run([sys.executable, "-c", JAX], capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0 and ran.stdout.split() == ["in", "place", "read-only", "bfloat16"], ran.stderr

    def test_the_interpreter_ends_with_a_tensor(self, run):
        pytest.importorskip("numpy", "2.1")
        assert run(
            """
            import numpy, shmq
            q = shmq.Queue()
            with q.loan(3, "f4") as a:
                a[0] = 1.5
            with q.lease_array() as b:
                tensor = numpy.from_dlpack(b)
                capsule = b.__dlpack__(max_version=(1, 0))
            print(tensor[0])
            """
        ) == ["1.5"]


def test_no_room_is_lost():
    """Ten thousand leases and loans, ended in every way, leave the ring empty and of full size."""
    q = queue(capacity_bytes=1 << 16)
    for n in range(10_000):
        a = q.loan(1000, "B")
        match n % 5:
            case 0:
                a.abort()
                continue
            case 1:
                view = memoryview(a)
                a.abort()
                view.release()
                continue
            case _:
                a.commit()
        b = q.lease_array(timeout=10)
        view = memoryview(b)
        with b:
            pass
        view.release()
    assert q.empty()
    with q.loan(30_000, "B"):
        pass


def test_descriptors_do_not_pile_up():
    def count():
        return len(list(pathlib.Path("/proc/self/fd").iterdir()))

    before = count()
    for _ in range(50):
        q = queue(capacity_bytes=1 << 16)
        with q.loan(1 << 17, "B"):
            pass
        with q.lease_array() as b:
            view = memoryview(b)
        del q, b, view
    assert count() <= before + 1


def test_the_interpreter_that_imports_nothing_else():
    text = "import shmq, sys; assert 'numpy' not in sys.modules and 'shmq._dtypes' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", text]).returncode == 0
