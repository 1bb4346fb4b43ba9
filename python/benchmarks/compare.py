"""Queues side by side, between two processes: python benchmarks/compare.py [CASE ...]

Each case runs each contestant in turn, some rounds, and prints medians: messages a second, and how many
times as many as multiprocessing.Queue. --markdown prints the table of the README.

Contestants that are not installed are left out: pip install faster-fifo cloudtoid-interprocess
"""

import argparse
import importlib.util
import multiprocessing
import os
import queue
import statistics
import sys
import threading
import time

import shmq

BATCH = 100


class Contestant:
    """A queue and how it is used; `get` returns one message, `get_many` a list."""

    is_of_threads = False

    def __init__(self, make, name):
        self.name = name
        self.queue = make()
        self.put = self.queue.put
        self.get = self.queue.get

    def close(self):
        pass


class Theirs(Contestant):
    def close(self):
        self.queue.close()
        self.queue.join_thread()


class Ours(Contestant):
    def __init__(self, make, name):
        super().__init__(make, name)
        self.put_many = self.queue.put_many
        self.get_many = lambda: self.queue.get_many(BATCH)


class Threads(Contestant):
    is_of_threads = True


def faster_fifo():
    import faster_fifo
    import faster_fifo_reduction  # noqa: F401

    class Fifo(Contestant):
        def __init__(self, make, name):
            super().__init__(make, name)
            self.put_many = self.queue.put_many
            self.get_many = lambda: self.queue.get_many(block=True, timeout=60, max_messages_to_get=BATCH)

    return Fifo(lambda: faster_fifo.Queue(8 << 20), "faster-fifo")


def cloudtoid():
    """Of bytes: they are pickled here. Sending does not wait, so that a full queue is tried again."""
    import pickle

    from cloudtoid_interprocess import Publisher, Subscriber

    dumps, loads = pickle.dumps, pickle.loads

    class Cloudtoid(Contestant):
        def __init__(self, make, name):
            self.name = name
            self.path = f"compare-{os.getpid()}-{id(self)}"
            # One end stays here: a queue without ends is lost.
            self.subscriber = Subscriber(self.path, 8 << 20)
            self.publisher = None

        def put(self, obj):
            if self.publisher is None:
                self.publisher = Publisher(self.path, 8 << 20)
            send, data = self.publisher.try_send, dumps(obj, 5)
            while not send(data):
                time.sleep(0)

        def get(self):
            while (data := self.subscriber.receive(60.0)) is None:
                pass
            return loads(data)

        def put_many(self, objects):
            if self.publisher is None:
                self.publisher = Publisher(self.path, 8 << 20)
            many = [dumps(obj, 5) for obj in objects]
            while many:
                sent = self.publisher.try_send_batch(many)
                many = many[sent:]
                if not sent:
                    time.sleep(0)

        def get_many(self):
            many = [self.get()]
            while len(many) < BATCH and (data := self.subscriber.try_receive()) is not None:
                many.append(loads(data))
            return many

    return Cloudtoid(None, "cloudtoid-interprocess")


def installed(module):
    return importlib.util.find_spec(module) is not None


def contestants(size):
    yield lambda: Ours(lambda: shmq.Queue(capacity_bytes=size), "shmq.Queue")
    yield lambda: Theirs(multiprocessing.Queue, "multiprocessing.Queue")
    yield lambda: Contestant(multiprocessing.SimpleQueue, "multiprocessing.SimpleQueue")
    if installed("faster_fifo"):
        yield faster_fifo
    if installed("cloudtoid_interprocess"):
        yield cloudtoid
    yield lambda: Threads(lambda: queue.Queue(10_000), "queue.Queue (threads)")


def beside(contestant, work):
    """Runs `work` in another process, or thread."""
    if contestant.is_of_threads:
        thread = threading.Thread(target=work)
        thread.start()
        return thread.join
    pid = os.fork()
    if pid == 0:
        work()
        contestant.close()
        os._exit(0)
    return lambda: os.waitpid(pid, 0)


def stream(message, count):
    def run(contestant):
        def put():
            send = contestant.put
            for _ in range(count):
                send(message)

        began = time.perf_counter()
        join = beside(contestant, put)
        take = contestant.get
        for _ in range(count):
            take()
        took = time.perf_counter() - began
        join()
        return count / took

    return run


def batches(message, count):
    def run(contestant):
        if not hasattr(contestant, "put_many"):
            return stream(message, count // 4)(contestant)

        def put():
            many = [message] * BATCH
            for _ in range(count // BATCH):
                contestant.put_many(many)

        began = time.perf_counter()
        join = beside(contestant, put)
        left = count
        while left > 0:
            left -= len(contestant.get_many())
        took = time.perf_counter() - began
        join()
        return count / took

    return run


def ping_pong(count):
    def run(make):
        there, back = make(), make()

        def answer():
            for _ in range(count):
                back.put(there.get())
            back.close()

        join = beside(there, answer)
        times = []
        for n in range(count):
            began = time.perf_counter()
            there.put(n)
            back.get()
            times.append(time.perf_counter() - began)
        join()
        return 1 / statistics.median(times)

    return run


def array():
    import numpy

    return numpy.zeros(1 << 17)


class InPlace(Contestant):
    """Filled in the segment, and read there."""

    def put(self, array):
        import numpy

        with self.queue.loan(array.shape, array.dtype) as a:
            numpy.asarray(a)[:] = array

    def get(self):
        import numpy

        with self.queue.lease_array() as a:
            return numpy.asarray(a)[0]

    def __init__(self, make, name):
        self.name, self.queue = name, make()


BASE = "multiprocessing.Queue"
INT, DICT = 12345, {"id": 7, "name": "seven", "xs": [1, 2, 3]}

# Name: what runs, bytes of a queue, and the target of shmq.Queue: times multiprocessing.Queue.
CASES = {
    "int": lambda: (stream(INT, 200_000), 1 << 20, 12),
    "dict": lambda: (stream(DICT, 60_000), 1 << 20, 8),
    "int, batches": lambda: (batches(INT, 400_000), 1 << 20, 40),
    "dict, batches": lambda: (batches(DICT, 100_000), 1 << 20, 15),
    "ping-pong": lambda: (ping_pong(5_000), 1 << 20, 2.5),
    "array of 1 MiB": lambda: (stream(array(), 1_000), 16 << 20, 30),
    "array in place": lambda: (stream(array(), 1_000), 16 << 20, 50),
}


def runners(case, size):
    if case == "array in place":
        yield lambda: InPlace(lambda: shmq.Queue(capacity_bytes=size), "shmq.Queue")
        yield lambda: Theirs(multiprocessing.Queue, BASE)
    else:
        yield from contestants(size)


def show(case, medians, target):
    for name, rate in medians.items():
        aim = f"  target {target}" if name == "shmq.Queue" else ""
        print(f"{case:16} {name:28} {rate:12,.0f} /s {rate / medians[BASE]:7.2f}{aim}", flush=True)


def show_as_markdown(case, medians, target):
    ours = medians["shmq.Queue"]
    cells = [f"{ours / medians[BASE]:.1f} ({ours:,.0f}/s)", f"{target}"]
    # Threads pass an array on, and copy nothing.
    others = {name: rate for name, rate in medians.items() if "array" not in case or "threads" not in name}
    cells += [f"{others[name] / medians[BASE]:.1f}" if name in others else "-" for name in OTHERS]
    print(f"| {case} | " + " | ".join(cells) + " |", flush=True)


OTHERS = ["multiprocessing.SimpleQueue", "faster-fifo", "cloudtoid-interprocess", "queue.Queue (threads)"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, median of {given.rounds}")
    if given.markdown:
        print("| | shmq.Queue | target | " + " | ".join(OTHERS) + " |\n|---|---|---|" + "---|" * len(OTHERS))
    for case in given.cases or CASES:
        run, size, target = CASES[case]()
        rates = {}
        for _ in range(given.rounds):
            for make in runners(case, size):
                made = make()
                rates.setdefault(made.name, []).append(run(make) if case == "ping-pong" else run(made))
        medians = {name: statistics.median(measured) for name, measured in rates.items()}
        (show_as_markdown if given.markdown else show)(case, medians, target)


if __name__ == "__main__":
    main()
