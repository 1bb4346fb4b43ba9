"""Queues side by side, between two processes: python benchmarks/compare.py [CASE ...]

Each case runs each contestant in turn, some rounds, and prints medians: messages a second, and how many
times as many as multiprocessing.Queue.
"""

import argparse
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


def contestants(size):
    yield lambda: Ours(lambda: shmq.Queue(capacity_bytes=size), "shmq.Queue")
    yield lambda: Theirs(multiprocessing.Queue, "multiprocessing.Queue")
    yield lambda: Contestant(multiprocessing.SimpleQueue, "multiprocessing.SimpleQueue")
    try:
        import faster_fifo as _  # noqa: F401

        yield faster_fifo
    except ImportError:
        pass
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


CASES = {
    "int": lambda: (stream(12345, 200_000), 1 << 20),
    "dict": lambda: (stream({"id": 7, "name": "seven", "xs": [1, 2, 3]}, 60_000), 1 << 20),
    "int, batches": lambda: (batches(12345, 400_000), 1 << 20),
    "dict, batches": lambda: (batches({"id": 7, "name": "seven", "xs": [1, 2, 3]}, 100_000), 1 << 20),
    "ping-pong": lambda: (ping_pong(5_000), 1 << 20),
    "array of 1 MiB": lambda: (stream(array(), 1_000), 16 << 20),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, median of {given.rounds}")
    for case in given.cases or CASES:
        run, size = CASES[case]()
        rates = {}
        for _ in range(given.rounds):
            for make in contestants(size):
                made = make()
                rates.setdefault(made.name, []).append(run(make) if case == "ping-pong" else run(made))
        base = statistics.median(rates["multiprocessing.Queue"])
        for name, measured in rates.items():
            rate = statistics.median(measured)
            print(f"{case:16} {name:28} {rate:12,.0f} /s {rate / base:7.2f}", flush=True)


if __name__ == "__main__":
    main()
