"""Queue: what it promises beside what CPython's tests ask."""

import os
import pickle
import queue
import signal
import threading
import time

import pytest

import shmq

OBJECTS = [
    None, True, False, 0, 1, 255, 256, 65535, 65536, -1, -(2**31), 2**31, 2**63 - 1, -(2**63), 2**63, 2**100,
    1.5, float("inf"), "", "text", "é" * 300, "x" * 255, "x" * 256, "\ud800", "x" * 100_000,
    b"", b"bytes", b"x" * 255, b"x" * 256, b"x" * 300_000, bytearray(b"abc"),
    {"a": [1, (2, {3})]}, ValueError("text"), shmq.Queue, len, 1 + 2j,
]  # fmt: skip


@pytest.mark.parametrize("obj", OBJECTS, ids=lambda obj: repr(obj)[:20])
def test_an_object_arrives_as_it_was_put(obj):
    q = shmq.Queue()
    q.put(obj)
    got = q.get()
    assert type(got) is type(obj)
    assert repr(got) == repr(obj)


def test_scalars_are_ordinary_pickles():
    # Bytes that any other Python reads.
    q = shmq.Queue()
    for obj in OBJECTS[:30]:
        q.put(obj)
        assert repr(q.get()) == repr(pickle.loads(pickle.dumps(obj)))


class Number(int):
    pass


def test_subclasses_keep_their_class():
    q = shmq.Queue()
    q.put(Number(3))
    assert type(q.get()) is Number


def test_the_bound_is_exact():
    q = shmq.Queue(3)
    assert q.empty() and not q.full() and q.maxsize == 3
    for n in range(3):
        q.put_nowait(n)
    assert q.full() and q.qsize() == 3
    with pytest.raises(queue.Full):
        q.put_nowait(3)
    assert [q.get() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(queue.Empty):
        q.get_nowait()


@pytest.mark.parametrize("timeout", [0, -1, 0.0])
def test_no_time_is_one_try(timeout):
    q = shmq.Queue(1)
    with pytest.raises(queue.Empty):
        q.get(timeout=timeout)
    q.put(1, timeout=timeout)
    with pytest.raises(queue.Full):
        q.put(2, timeout=timeout)


def test_an_endless_timeout_is_none():
    q = shmq.Queue(1)
    q.put(1)
    threading.Timer(0.1, q.get).start()
    q.put(2, timeout=1e30)
    assert q.get(timeout=float("inf")) == 2
    with pytest.raises(ValueError):
        q.get(timeout=float("nan"))


class Refuses:
    def __reduce__(self):
        raise LookupError("not this one")


def test_what_cannot_be_pickled_is_not_put():
    q = shmq.Queue(1)
    with pytest.raises(LookupError):
        q.put(Refuses())
    with pytest.raises(LookupError):
        q.put([b"x" * 100_000, Refuses()])
    q.put([1])
    assert q.get() == [1]


class PutsItself:
    """Its pickling uses the same queue."""

    def __init__(self, q):
        self.q = q

    def __reduce__(self):
        self.q.put({"inner": 1})
        return (str, ("outer",))


def test_pickling_may_use_the_queue():
    q = shmq.Queue()
    q.put([PutsItself(q), "same", "same"])
    assert q.get() == {"inner": 1}
    assert q.get() == ["outer", "same", "same"]


def test_a_pickler_remembers_nothing():
    q = shmq.Queue()
    shared = ["shared"]
    q.put([shared])
    q.put([shared, shared])
    assert q.get() == [shared]
    first, second = q.get()
    assert first is second


def test_reducers_that_are_registered_later_count():
    import copyreg
    from multiprocessing.reduction import ForkingPickler

    class Plain:
        pass

    q = shmq.Queue()
    q.put({})
    copyreg.pickle(Plain, lambda plain: (str, ("copyreg",)))
    q.put(Plain())
    ForkingPickler.register(Plain, lambda plain: (str, ("registered",)))
    q.put(Plain())
    ForkingPickler.register(Plain, lambda plain: (str, ("again",)))
    q.put(Plain())
    assert q.get_many(9) == [{}, "copyreg", "registered", "again"]


def test_many_at_once():
    q = shmq.Queue(5)
    assert q.put_many(range(3)) == 3
    assert q.put_many(iter("abcd"), block=False) == 2
    with pytest.raises(queue.Full):
        q.put_many([1], timeout=0.01)
    assert q.get_many(4) == [0, 1, 2, "a"]
    assert q.get_many(4) == ["b"]
    assert q.get_many(0) == []
    with pytest.raises(queue.Empty):
        q.get_many(4, timeout=0.01)


def test_closing_ends_one_handle_and_shutting_down_all():
    q = shmq.Queue()
    other = pickle.loads(pickle.dumps(q))
    q.close()
    with pytest.raises(ValueError):
        q.put(1)
    with pytest.raises(ValueError):
        q.get()
    other.put(1)
    other.shutdown()
    with pytest.raises(shmq.ShutDown):
        other.put(2)
    assert other.get() == 1
    with pytest.raises(shmq.ShutDown):
        other.get()


def test_shutting_down_wakes_and_drains():
    q = shmq.Queue(1)
    q.put(1)
    raised = []

    def putter():
        try:
            q.put(2)
        except shmq.ShutDown as error:
            raised.append(error)

    thread = threading.Thread(target=putter)
    thread.start()
    time.sleep(0.05)
    q.shutdown(immediate=True)
    thread.join()
    assert len(raised) == 1
    with pytest.raises(shmq.ShutDown):
        q.get()


def test_a_loop_ends_when_the_queue_is_shut_down():
    q = shmq.Queue()
    q.put_many("abc")
    q.shutdown()
    assert list(q) == ["a", "b", "c"]


def test_programs_meet_by_name(run):
    name = f"test-{os.getpid()}-meet"
    q = shmq.Queue(3, name=name)
    assert q.name == name
    run("import shmq, sys; shmq.Queue.open(sys.argv[1]).put('by open')", name)
    run("import shmq, sys; shmq.Queue(3, name=sys.argv[1]).put('by name')", name)
    assert q.get_many(5) == ["by open", "by name"]
    opened = shmq.Queue.open(name)
    assert opened.maxsize == 3
    del q, opened
    with pytest.raises(FileNotFoundError):
        shmq.Queue.open(name)
    with pytest.raises(TimeoutError):
        shmq.Queue.open(name, timeout=0.05)


def test_open_waits_for_its_creator(run):
    name = f"test-{os.getpid()}-late"
    made = []
    timer = threading.Timer(0.2, lambda: made.append(shmq.Queue(3, name=name)))
    timer.start()
    assert shmq.Queue.open(name, timeout=None).maxsize == 3
    timer.join()


def test_errors_are_exceptions_of_the_standard_library():
    with pytest.raises(ValueError):
        shmq.Queue(name="with/slash")
    q = shmq.Queue(capacity_bytes=4096, max_spilled_bytes=0)
    with pytest.raises(ValueError, match="larger than"):
        q.put(b"x" * 10_000)
    with pytest.raises(RuntimeError):
        shmq.Queue.__new__(shmq.Queue).put(1)


def test_subclasses_have_arguments_of_their_own():
    class Labelled(shmq.Queue):
        def __init__(self, label, size):
            super().__init__(size)
            self.label = label

    q = Labelled("label", size=2)
    assert (q.label, q.maxsize) == ("label", 2)


def test_a_handle_travels_through_a_queue():
    requests, answers = shmq.Queue(), shmq.Queue()
    requests.put((20, answers))
    number, reply_to = requests.get()
    reply_to.put(number + 1)
    assert answers.get() == 21


def test_a_handle_whose_queue_is_gone_leads_nowhere():
    requests, answers = shmq.Queue(), shmq.Queue()
    requests.put(answers)
    del answers
    with pytest.raises(FileNotFoundError):
        requests.get()


def test_a_lease_ends_with_its_block():
    q = shmq.Queue()
    q.put("job")
    with pytest.raises(KeyError), q.lease() as job:
        assert job == "job"
        raise KeyError
    lease = q.lease()
    assert (lease.value, lease.deliveries) == ("job", 2)
    with lease:
        pass
    assert q.empty()
    with pytest.raises(RuntimeError):
        lease.done()
    with pytest.raises(queue.Empty):
        q.lease(timeout=0.01)


def test_a_lease_that_is_dropped_gives_back():
    q = shmq.Queue()
    q.put("job")
    q.lease()
    assert q.get(timeout=5) == "job"


def test_a_killed_holder_of_a_lease_gives_back(child):
    q, held = shmq.Queue(), shmq.Queue()
    q.put("job")

    def hold():
        lease = q.lease()
        held.put(os.getpid())
        signal.pause()
        lease.done()

    pid = child(hold)
    assert held.get() == pid
    os.kill(pid, signal.SIGKILL)
    with q.lease(timeout=5) as job:
        assert job == "job"


def test_a_copy_of_a_lease_in_a_child_is_no_lease(child):
    q, said = shmq.Queue(), shmq.Queue()
    q.put("job")
    lease = q.lease()

    def end():
        try:
            lease.done()
        except shmq.Error as error:
            said.put(str(error))

    child(end)
    assert "parent" in said.get(timeout=5)
    lease.done()
    assert q.empty()


def test_join_counts_what_is_done():
    q = shmq.JoinableQueue()
    q.join()
    q.put_many([1, 2])
    q.get()
    with pytest.raises(TimeoutError):
        q.join(timeout=0.01)
    q.task_done()
    with q.lease():
        pass
    q.join(timeout=5)
    with pytest.raises(ValueError):
        q.task_done()


def test_join_waits_for_nothing_that_was_drained():
    q = shmq.JoinableQueue()
    q.put_many([1, 2, 3])
    q.get()
    q.shutdown(immediate=True)
    with pytest.raises(TimeoutError):
        q.join(timeout=0.01)
    q.task_done()
    q.join(timeout=5)


PLAIN = [
    {}, [], (), {"a": 1, "b": [1.5, None, True, b"x"]}, [[], [[]], ()], (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4),
    {"rows": [{"id": n, "name": f"row {n}"} for n in range(20)]}, [list(range(2000))], {1: 2, (3, 4): 5},
    [[[[[[[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]]]]]], [2**70, "\ud800"], {"set": {1, 2}}, [Number(3)],
]  # fmt: skip


@pytest.mark.parametrize("obj", PLAIN, ids=lambda obj: repr(obj)[:30])
def test_plain_containers_arrive_and_are_pickles(obj):
    q = shmq.Queue()
    q.put(obj)
    assert q.get() == obj


def test_what_is_one_object_arrives_as_one():
    q = shmq.Queue()
    part, pair, table = [1], ([2], 3), {"k": []}
    q.put([part, part, pair, pair, table, {"again": table}])
    got = q.get()
    assert got == [part, part, pair, pair, table, {"again": table}]
    assert got[0] is got[1] and got[2] is got[3] and got[4] is got[5]["again"]
    part.append(part)
    q.put(part)
    got = q.get()
    assert got[1] is got
    many = [[n] for n in range(40)]
    q.put([many, many[::-1]])
    first, second = q.get()
    assert all(a is b for a, b in zip(first, second[::-1], strict=True))


def test_a_tuple_that_holds_itself():
    q = shmq.Queue()
    inner = []
    outer = (inner, 1)
    inner.append(outer)
    q.put(outer)
    got = q.get()
    assert got[0][0] is got


def test_random_plain_objects():
    import random

    def make(depth):
        kinds = [
            lambda: random.randrange(-(2**random.randrange(66)), 2 ** random.randrange(66)),
            lambda: "".join(map(chr, random.choices(range(1, 0x3000), k=random.randrange(300)))),
            lambda: random.randbytes(random.randrange(300)),
            random.random,
            lambda: random.choice([None, True, False]),
        ]
        if depth:
            kinds += [
                lambda: [make(depth - 1) for _ in range(random.randrange(5))],
                lambda: tuple(make(depth - 1) for _ in range(random.randrange(6))),
                lambda: {str(n): make(depth - 1) for n in range(random.randrange(5))},
            ]
        return random.choice(kinds)()

    q = shmq.Queue()
    for seed in range(2000):
        random.seed(seed)
        obj = make(5)
        q.put(obj)
        got = q.get()
        assert got == obj and type(got) is type(obj), seed


@pytest.mark.parametrize("obj", [b"x" * (16 << 20), ["x" * (8 << 20)] * 3], ids=["bytes", "list"])
def test_an_object_larger_than_the_ring_is_taken(obj):
    q = shmq.Queue(capacity_bytes=1 << 16)
    q.put("before")
    q.put(obj)
    q.put("after")
    assert q.get() == "before"
    with pytest.raises(KeyError), q.lease() as leased:
        assert leased == obj
        raise KeyError
    assert q.get() == obj
    assert q.get() == "after"


def load_fails():
    raise LookupError("cannot be loaded")


class FailsToLoad:
    def __reduce__(self):
        return (load_fails, ())


def test_what_cannot_be_loaded_costs_no_other_object():
    q = shmq.Queue()
    q.put_many([1, FailsToLoad(), 2])
    assert q.get_many(10) == [1]
    with pytest.raises(LookupError):
        q.get()
    assert q.get_many(10) == [2]
    q.put(FailsToLoad())
    with pytest.raises(LookupError):
        q.lease()
    assert q.empty()


def test_batches_are_loaded_apart():
    """One message after the other: nothing of one is in another, and what a message runs may read messages."""
    q, other = shmq.Queue(), shmq.Queue()
    shared = [1, [2, []]]
    objects = [[shared, shared], {"a": shared, "b": shared, "c": ()}, Number(7), (), ([],), [], [[], [shared, shared], (shared, [])]]
    q.put_many(objects * 20)
    got = q.get_many(1000)
    assert got == objects * 20
    for n in range(0, len(got), len(objects)):
        pair, named, number, _, _, _, last = got[n : n + len(objects)]
        assert pair[0] is pair[1] and named["a"] is named["b"] and pair[0] is not named["a"] and type(number) is Number
        assert last[1][0] is last[1][1] is last[2][0] and last[0] is not last[2][1]
    assert len({id(of) for pair in got[:: len(objects)] for of in (pair, pair[0])}) == 40
    other.put_many([{"x": [n]} for n in range(10)])
    q.put_many([{"x": [1]}, Reads(other), {"x": [2]}])
    assert q.get_many(10) == [{"x": [1]}, [{"x": [n]} for n in range(10)], {"x": [2]}]


class Reads:
    """Its message takes those of another queue where it is loaded."""

    def __init__(self, queue):
        self.queue = queue

    def __reduce__(self):
        return _read_all, (self.queue,)


def _read_all(queue):
    return queue.get_many(100)
