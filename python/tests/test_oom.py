"""Processes that run out of memory: by a limit of their own, and killed by the kernel."""

import faulthandler
import mmap
import os
import pathlib
import resource
import signal

import pytest

import shmq
from shmq import multiprocessing
from shmq.multiprocessing.pool import WorkerDied

PATIENCE = 60
MIB = 1 << 20


def limit_address_space(room):
    """This process may allocate that much more."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    limit = pages * mmap.PAGESIZE + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def ended(pid):
    """How a child ended: its exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_put_that_raises_memory_error_puts_nothing_and_the_queue_goes_on():
    q = shmq.Queue(capacity_bytes=4 * MIB)

    def put():
        # The second copy, which pickling makes, has no room.
        large = ["x" * (20 * MIB)]
        limit_address_space(8 * MIB)
        with pytest.raises(MemoryError):
            q.put(large)
        q.put("small")
        os._exit(0)

    assert ended(os.fork() or put()) == 0
    assert q.get(timeout=PATIENCE) == "small"
    assert q.empty()


def test_a_get_that_raises_memory_error_takes_nothing():
    q = shmq.Queue(capacity_bytes=4 * MIB)
    q.put("x" * (40 * MIB))
    q.put("next")

    def get():
        # A child of fork maps what it gets anew.
        limit_address_space(8 * MIB)
        with pytest.raises(MemoryError):
            q.get(timeout=PATIENCE)
        os._exit(0)

    assert ended(os.fork() or get()) == 0
    assert len(q.get(timeout=PATIENCE)) == 40 * MIB
    assert q.get(timeout=PATIENCE) == "next"


def test_a_getter_that_is_aborted_by_its_own_limit_loses_one_object_at_most():
    """What fits the ring is copied to memory of the process, and there the allocator ends it."""
    q = shmq.Queue(capacity_bytes=192 * MIB)
    # More than the allocator has reserved, or keeps of what was freed before.
    q.put(b"x" * (80 * MIB))
    q.put("next")

    def get():
        faulthandler.disable()  # The abort is what is tested.
        try:
            limit_address_space(4 * MIB)
            q.get(timeout=PATIENCE)
        except MemoryError:
            os._exit(7)
        os._exit(1)

    assert ended(os.fork() or get()) in (7, -signal.SIGABRT)
    left = []
    while not q.empty():
        left.append(q.get(timeout=PATIENCE))
    assert left[-1] == "next" and len(left) <= 2


class MemoryCgroup:
    """A control group of processes that may have so much memory together: the kernel kills one if they
    need more."""

    def __init__(self, limit):
        own = dict(line.split(":", 2)[1:] for line in pathlib.Path("/proc/self/cgroup").read_text().split())
        if "memory" in own:
            self.path = pathlib.Path("/sys/fs/cgroup/memory" + own["memory"], f"shmq-test-{os.getpid()}")
            limit_file, self._events = "memory.limit_in_bytes", "memory.oom_control"
        else:
            self.path = pathlib.Path("/sys/fs/cgroup" + own.get("", "/"), f"shmq-test-{os.getpid()}")
            limit_file, self._events = "memory.max", "memory.events"
        self.path.mkdir()
        try:
            (self.path / limit_file).write_text(str(limit))
            self.kills()
        except (OSError, KeyError):
            self.path.rmdir()
            raise

    def join(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self):
        """How many processes the kernel has killed for their memory."""
        lines = (self.path / self._events).read_text().splitlines()
        return int(dict(line.split() for line in lines)["oom_kill"])


@pytest.fixture
def cgroup():
    try:
        made = MemoryCgroup(64 * MIB)
    except (OSError, KeyError) as error:
        pytest.skip(f"no memory limit can be set here: {error}")
    yield made
    made.path.rmdir()


def hoard():
    """Needs more and more memory, until the kernel kills this process."""
    kept = []
    while True:
        kept.append(bytearray(MIB))


@pytest.mark.parametrize("verb", ["lease", "get"])
def test_a_getter_that_the_kernel_kills_for_its_memory(verb, cgroup):
    q = shmq.Queue(capacity_bytes=MIB)
    seen = memoryview(mmap.mmap(-1, 1 << 16))
    kills = 8

    def get():
        cgroup.join()
        kept = []
        while True:
            if verb == "lease":
                with q.lease() as number:
                    kept.append(bytearray(4 * MIB))
                    seen[number] += 1
            else:
                number = q.get()
                kept.append(bytearray(4 * MIB))
                seen[number] += 1

    put = 0
    for _ in range(kills):
        pid = os.fork() or get()
        # As much as it can take before it is killed.
        for _ in range(40):
            q.put(put, timeout=PATIENCE)
            put += 1
        assert ended(pid) == -signal.SIGKILL
    assert cgroup.kills() == kills
    q.shutdown()
    for number in q:
        seen[number] += 1
    lost = sum(seen[number] == 0 for number in range(put))
    twice = sum(seen[number] > 1 for number in range(put))
    if verb == "lease":
        assert lost == 0 and twice <= kills
    else:
        assert lost <= kills and twice == 0


def join_and_hoard(cgroup):
    cgroup.join()
    hoard()


def square(n):
    return n * n


def test_a_worker_of_a_pool_that_the_kernel_kills_for_its_memory(cgroup):
    with multiprocessing.Pool(2) as pool:
        killed = pool.apply_async(join_and_hoard, (cgroup,))
        others = [pool.apply_async(square, (n,)) for n in range(50)]
        with pytest.raises(WorkerDied):
            killed.get(timeout=PATIENCE)
        assert [other.get(timeout=PATIENCE) for other in others] == [n * n for n in range(50)]
    pool.join()
    assert cgroup.kills() == 1
