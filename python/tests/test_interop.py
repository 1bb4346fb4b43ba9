"""The same segments from Rust and from Python: messages both ways, and each side killed meanwhile.

SHMQ_INTEROP names the program of `tests/interop`; without it the test builds it, where cargo is.
"""

import contextlib
import os
import pathlib
import pickle
import random
import shutil
import signal
import subprocess
import time

import pytest

import shmq

numpy = pytest.importorskip("numpy")
PATIENCE = 30
TICK = [("price", "<f8"), ("sizes", "<u4", (2,)), ("venue", "u1", (4,)), ("side", "u1"), ("flags", "u1", (3,))]


@pytest.fixture(scope="module")
def program():
    built = os.environ.get("SHMQ_INTEROP")
    if built:
        return built
    cargo, manifest = shutil.which("cargo"), pathlib.Path(__file__).parent / "interop" / "Cargo.toml"
    if cargo is None or not manifest.exists():
        pytest.skip("no cargo, or no tests/interop, and SHMQ_INTEROP is not set: the Rust side cannot be built")
    target = pathlib.Path(__file__).parents[2] / "target" / "python"
    subprocess.run([cargo, "build", "--quiet", "--locked", "--manifest-path", manifest, "--target-dir", target], check=True)
    return target / "debug" / "shmq-interop"


@pytest.fixture
def rust(program):
    """Starts a Rust process, whose output is read by lines; kills what is left of it at the end."""
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True)
            stack.callback(lambda: (process.kill(), process.wait(), process.stdout.close()))
            return process

        yield start
    # What was killed last leaves its names until they are used again.
    for path in pathlib.Path("/dev/shm").glob(f"shmq.interop-{os.getpid()}-*"):
        shmq.BytesQueue.unlink(path.name.removeprefix("shmq."))


@pytest.fixture
def name(request):
    return f"interop-{os.getpid()}-{request.node.name}"[:60].replace("[", "-").replace("]", "")


def says(process):
    return process.stdout.readline().strip()


def ends(process):
    assert process.wait(timeout=PATIENCE) == 0


def kill(process):
    process.kill()
    process.wait()


def queues(name):
    return shmq.BytesQueue(8, name=name), shmq.BytesQueue(8, name=name + "-answers")


def test_bytes_go_both_ways(rust, name):
    there, back = queues(name)
    process = rust("reverse", there.name, back.name)
    for message in (b"", b"abc", bytes(range(256)) * 100):
        there.put(message)
        assert back.get(timeout=PATIENCE) == message[::-1]
    with there.loan(5) as view:
        view[:] = b"in it"
    with back.lease(timeout=PATIENCE) as view:
        assert bytes(view) == b"ti ni"
    there.shutdown()
    ends(process)


def test_structs_go_both_ways(rust, name):
    ticks = shmq.StructQueue(name, dtype=TICK, maxsize=8)
    answers = shmq.StructQueue(name + "-answers", dtype=TICK, maxsize=8)
    process = rust("ticks", ticks.name, answers.name)
    for n in range(100):
        ticks.put((n / 4, (n, n + 1), tuple(b"XETR"), n, (1, 2, 3)))
        answer = answers.get(timeout=PATIENCE)
        assert (answer["price"], *answer["sizes"], answer["side"]) == (n / 2, 2 * n, 2 * n + 2, n + 1)
        assert bytes(answer["venue"]) == b"XETR" and tuple(answer["flags"]) == (1, 2, 3)
    ticks.shutdown()
    with pytest.raises(shmq.ShutDown):
        answers.get(timeout=PATIENCE)
    ends(process)


def test_a_struct_of_rust_opens_without_a_dtype(rust, name):
    process = rust("create-ticks", name)
    assert says(process) == "created"
    ticks = shmq.StructQueue.open(name)
    assert ticks.dtype == numpy.dtype(TICK)
    tick = ticks.get(timeout=PATIENCE)
    assert (tick["price"], tuple(tick["sizes"]), tick["side"]) == (0.5, (1, 2), 3)


# Each side names both schemas.
SCHEMAS = [
    "{price@0: f64, sizes@8: [u32; 2], venue@16: [u8; 4], side@20: u8, flags@21: [u8; 3]}",
    "{price@0: f64, size@8: u64, count@16: u64}",
]


def test_python_refuses_another_struct_of_rust(rust, name):
    process = rust("create-ticks", name)
    assert says(process) == "created"
    with pytest.raises(ValueError) as raised:
        shmq.StructQueue(name, dtype=[("price", "<f8"), ("size", "<u8"), ("count", "<u8")], maxsize=8)
    for schema in SCHEMAS:
        assert schema in str(raised.value)
    assert shmq.StructQueue.open(name).qsize() == 1


def test_rust_refuses_another_struct_of_python(rust, name):
    ticks = shmq.StructQueue(name, dtype=TICK, maxsize=8)
    process = rust("open-other", ticks.name)
    said = process.stdout.read()
    ends(process)
    for schema in SCHEMAS:
        assert schema in said


def test_rust_refuses_objects_as_bytes(program, name):
    objects = shmq.Queue(8, name=name)
    process = subprocess.run([program, "wait", objects.name], capture_output=True, text=True, timeout=PATIENCE)
    assert process.returncode != 0
    assert "object as pickle" in process.stderr


def test_a_topic_from_python_to_rust_and_back(rust, name):
    topic, copies = shmq.Topic(name=name), shmq.BytesQueue(8, name=name + "-copies")
    subscriber = rust("subscribe", topic.name, copies.name)
    assert says(subscriber) == "subscribed"
    topic.wait_subscribers(1, timeout=PATIENCE)
    objects = [1, "two", {"three": [4.0]}]
    for obj in objects:
        topic.publish(obj)
        assert pickle.loads(copies.get(timeout=PATIENCE)) == obj

    reader, pickles = topic.subscribe(), shmq.BytesQueue(8, name=name + "-pickles")
    publisher = rust("publish", pickles.name, topic.name)
    for obj in objects:
        pickles.put(pickle.dumps(obj))
        assert reader.get(timeout=PATIENCE) == obj
        assert pickle.loads(copies.get(timeout=PATIENCE)) == obj
    pickles.shutdown()
    ends(publisher)
    ends(subscriber)
    with pytest.raises(shmq.ShutDown):
        reader.get(timeout=PATIENCE)


def test_a_killed_subscriber_of_rust_stops_no_publisher(rust, name):
    topic, copies = shmq.Topic(name=name, capacity_bytes=4096), shmq.BytesQueue(8, name=name + "-copies")
    subscriber = rust("subscribe", topic.name, copies.name)
    assert says(subscriber) == "subscribed"
    kill(subscriber)
    for n in range(1000):
        topic.publish(n, timeout=PATIENCE)


def test_what_a_killed_rust_process_held_comes_to_python(rust, name):
    q = shmq.BytesQueue(8, name=name)
    q.put(b"first")
    q.put(b"second")
    process = rust("hold", q.name)
    assert says(process) == "holds first"
    kill(process)
    lease = q.lease(timeout=PATIENCE)
    with lease as view:
        assert bytes(view) == b"first"
    assert lease.deliveries == 2
    assert q.get(timeout=PATIENCE) == b"second"


def test_a_loan_of_a_killed_rust_process_is_not_put(rust, name):
    q = shmq.BytesQueue(8, name=name)
    process = rust("hold-loan", q.name)
    assert says(process) == "writes"
    q.put(b"whole")
    kill(process)
    assert q.get(timeout=PATIENCE) == b"whole"
    assert q.empty()


def test_a_rust_process_killed_in_get_takes_nothing(rust, name):
    q = shmq.BytesQueue(8, name=name)
    process = rust("wait", q.name)
    assert says(process) == "waits"
    time.sleep(0.05)
    kill(process)
    q.put(b"kept")
    assert q.get(timeout=PATIENCE) == b"kept"


@pytest.mark.parametrize("held", ["lease", "loan"])
def test_what_a_killed_python_process_held_comes_to_rust(rust, name, held, child):
    q = shmq.BytesQueue(8, name=name)
    pipe, end = os.pipe()

    def work():
        with q.lease() if held == "lease" else q.loan(4):
            os.write(end, b"held")
            time.sleep(PATIENCE)

    if held == "lease":
        q.put(b"message")
    pid = child(work)
    assert os.read(pipe, 4) == b"held"
    process = rust("wait", q.name)
    assert says(process) == "waits"
    if held == "loan":
        q.put(b"message")
    os.kill(pid, signal.SIGKILL)
    assert says(process) == "got message"
    ends(process)


def test_nothing_is_lost_while_both_sides_are_killed(rust, name, child):
    there, back = queues(name)

    def reverse():
        while True:
            with there.lease() as view:
                back.put(bytes(view)[::-1])

    def put():
        for n in range(2000):
            there.put(b"%06d" % n)

    pids = [child(put)]
    workers = [lambda: rust("reverse", there.name, back.name), lambda: child(reverse)]
    running = [start() for start in workers]
    answered, kill_at = set(), 50
    try:
        while len(answered) < 2000:
            answered.add(back.get(timeout=PATIENCE))
            if len(answered) >= kill_at:
                kill_at += random.randrange(20, 80)
                victim = random.randrange(2)
                if victim == 0:
                    kill(running[0])
                else:
                    os.kill(running[1], signal.SIGKILL)
                running[victim] = workers[victim]()
    finally:
        for pid in (*pids, running[1]):
            os.kill(pid, signal.SIGKILL)
    assert answered == {(b"%06d" % n)[::-1] for n in range(2000)}
