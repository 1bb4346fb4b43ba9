"""Nothing piles up: descriptors, mappings and memory in a process, files in /dev/shm, blocked children."""

import os

from conftest import has_segment

STATE = """
import gc, os
def state():
    gc.collect()
    with open("/proc/self/maps") as maps:
        mappings = len(maps.readlines())
    segments = sum(name.startswith("shmq") for name in os.listdir("/dev/shm"))
    with open("/proc/self/statm") as statm:
        mebibytes = int(statm.read().split()[1]) * 4 // 1024
    return len(os.listdir("/proc/self/fd")), mappings, segments, mebibytes
"""


def test_10000_queues_leave_nothing(run):
    lines = run(
        STATE
        + """
import shmq
from shmq import multiprocessing

def make(count):
    for n in range(count):
        q = shmq.Queue(3, capacity_bytes=4096)
        q.put(n); q.get(); q.put([n])
        with q.lease(): pass
        q.put("left")
        if n % 10 == 0:
            with multiprocessing.Lock(), multiprocessing.Condition(), multiprocessing.Semaphore(): pass
            topic = shmq.Topic(); reader = topic.subscribe(); topic.publish(n); reader.get()
            q.put(b"x" * 100_000)  # in a file of its own
            samples = shmq.BytesQueue(capacity_bytes=4096)
            with samples.loan(8) as view: view[:] = b"12345678"
            with samples.lease() as view: bytes(view)

make(200)
print(state())
make(10_000)
print(state())
"""
    )
    before, after = map(eval, lines)
    # Segments: those of other programs come and go. This one has had 13,000.
    assert before[:2] == after[:2]
    assert abs(after[2] - before[2]) < 100
    assert after[3] - before[3] < 8


def test_300_forks_beside_a_thread_that_waits(run):
    [before, after, said] = run(
        STATE
        + """
import shmq, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside a thread
q, never = shmq.Queue(), shmq.Queue()
threading.Thread(target=never.get, daemon=True).start()
for n in range(300):
    pid = os.fork()
    if pid == 0:
        own = shmq.Queue(3)
        own.put(n)
        q.put([own.get()])
        os._exit(0)
    assert q.get(timeout=30) == [n]
    assert os.waitpid(pid, 0)[1] == 0
    if n == 10: print(state())
print(state())
never.put("the thread still waits")
print("done")
"""
    )
    # The segments of the children, which ended by os._exit, are swept every ten seconds.
    assert eval(before)[:2] == eval(after)[:2]
    assert said == "done"


EXIT = """
import shmq, sys, threading, time
from shmq import multiprocessing
q, lock, event, topic = shmq.Queue(), multiprocessing.Lock(), multiprocessing.Event(), shmq.Topic()
full, condition, semaphore = shmq.Queue(1), multiprocessing.Condition(), multiprocessing.Semaphore(0)
lock.acquire(); full.put(1)
def wait_for_notice():
    with condition: condition.wait()
waits = [q.get, q.lease, lock.acquire, event.wait, topic.subscribe().get, lambda: full.put(2), wait_for_notice, semaphore.acquire]
for wait in waits:
    threading.Thread(target=wait, daemon=True).start()
time.sleep(0.02)
print(q.name, full.name, topic.name, lock._name, event._name, semaphore._name, sep="\\n", flush=True)
"""


def test_30_exits_beside_daemon_threads_that_wait(run):
    for n in range(30):
        names = run(EXIT + ("", "sys.exit(0)", "raise SystemExit")[n % 3])
        assert len(names) == 6
        assert not any(map(has_segment, names))


def test_what_os_exit_leaves_is_swept_by_the_next_program(run):
    names = run(EXIT + "import os; os._exit(0)")
    assert all(map(has_segment, names))
    run("import shmq; shmq.Queue()")
    assert not any(map(has_segment, names))


def test_a_named_queue_outlives_os_exit_with_what_was_put(run):
    name = f"leaks-{os.getpid()}"
    run("import os, shmq, sys; q = shmq.Queue(name=sys.argv[1]); q.put('kept'); os._exit(0)", name)
    assert run("import shmq, sys; q = shmq.Queue(name=sys.argv[1]); print(q.get(timeout=0), q.qsize())", name) == ["kept 0"]
    assert not has_segment(name)
