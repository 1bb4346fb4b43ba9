"""Objects whose pickling and loading do what they want: raise, fork, use the queue that they are in."""

import os
import time

import pytest

import shmq


def interrupt():
    raise KeyboardInterrupt


def run_out():
    raise MemoryError


def refuse():
    raise ValueError("not to be loaded")


class Loads:
    """An object that calls a function where it is loaded."""

    def __init__(self, function):
        self.function = function

    def __reduce__(self):
        return (self.function, ())


@pytest.mark.parametrize(("function", "raised"), [(interrupt, KeyboardInterrupt), (run_out, MemoryError)])
def test_a_lease_whose_loading_was_interrupted_comes_back(function, raised):
    q = shmq.Queue()
    q.put(Loads(function))
    for delivery in (1, 2):
        with pytest.raises(raised):
            q.lease()
        assert q.qsize() == 1, delivery


def test_a_lease_of_what_cannot_be_loaded_takes_it():
    q = shmq.Queue()
    q.put_many([Loads(refuse), "next"])
    with pytest.raises(ValueError, match="not to be loaded"):
        q.lease()
    with q.lease() as obj:
        assert obj == "next"
    assert q.empty()


@pytest.fixture
def letters():
    name = f"letters-{os.getpid()}"
    yield shmq.DeadLetters(name)
    shmq.DeadLetters.unlink(name)


def test_what_cannot_be_loaded_is_given_up_to_the_dead_letters(letters):
    q = shmq.Queue(max_deliveries=2, dead_letters=letters.name)
    q.put_many([Loads(refuse), "next"])
    for _ in range(2):
        with pytest.raises(ValueError, match="not to be loaded"):
            q.lease()
    with q.lease() as obj:
        assert obj == "next"
    letter = letters.get(timeout=30)
    assert (letter.queue, letter.deliveries) == (q.name, 2)
    with pytest.raises(ValueError, match="not to be loaded"):
        letter.load()


def test_what_was_given_back_too_often_is_a_dead_letter(letters):
    q = shmq.Queue(max_deliveries=1, dead_letters=letters.name)
    q.put({"job": 1})
    q.lease().give_back()
    with pytest.raises(shmq.Empty):
        q.get_nowait()
    assert letters.qsize() == 1
    letter = letters.get()
    assert (letter.load(), letter.deliveries) == ({"job": 1}, 1)
    assert abs(letter.given_up - time.time()) < 60
    with pytest.raises(shmq.Empty):
        letters.get(timeout=0.01)


def test_loading_may_fork():
    q, said = shmq.Queue(), shmq.Queue()
    parent = os.getpid()
    q.put(Loads(os.fork))
    pid = q.get()
    if os.getpid() != parent:
        said.put("child")
        os._exit(0)
    assert said.get(timeout=30) == "child"
    os.waitpid(pid, 0)


@pytest.mark.parametrize("text", ["x" * 100_000, b"x" * 100_000], ids=["str", "bytes"])
def test_what_is_in_a_container_often_is_in_its_pickle_once(text):
    # The queue has no room for two of them.
    q = shmq.Queue(capacity_bytes=300_000, max_spilled_bytes=0)
    for container in ([text] * 50, tuple([text] * 3), {1: text, 2: text, 3: [text]}):
        q.put(container)
        assert q.get() == container


def test_memory_that_runs_out_is_an_exception(run):
    said = run(
        """
        import resource, shmq

        q = shmq.Queue()
        text = b"x" * (100 << 20)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (50 << 20), used + (50 << 20)))
        for obj in (text, [text]):
            try:
                q.put(obj)
            except MemoryError:
                print("MemoryError")
        q.put("small")
        print(q.qsize())
        """
    )
    assert said == ["MemoryError", "MemoryError", "1"]
