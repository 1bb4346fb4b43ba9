"""Arrays of 1 MiB between two processes: python benchmarks/arrays.py [CASE ...]

One process sends numpy arrays to another one. Prints medians of arrays a second, and how many times as
many as multiprocessing.Queue in the same run.

  copy       put(array), get()
  in place   loan() and array[:] = source; lease_array()
  fan-out    one topic, three readers: publish(array), get(); loan(), read_array()
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time

import numpy
import shmq

SOURCE = numpy.arange(1 << 17, dtype="f8")
ROOM = 4 << 20


def beside(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return lambda: os.waitpid(pid, 0)


def measured(count, send, receive, end=lambda: None):
    """Arrays a second."""

    def work():
        for _ in range(count):
            send()
        end()

    wait = beside(work)
    receive()
    began = time.perf_counter()
    for _ in range(count - 1):
        receive()
    took = time.perf_counter() - began
    wait()
    return (count - 1) / took


def check(array):
    assert array[0] == 0 and array[-1] == SOURCE[-1]


def theirs(make):
    def run(count):
        q = make()

        def end():
            if hasattr(q, "join_thread"):
                q.close()
                q.join_thread()

        return measured(count, lambda: q.put(SOURCE), lambda: check(q.get()), end)

    return run


def copied(count):
    q = shmq.Queue(capacity_bytes=ROOM)
    return measured(count, lambda: q.put(SOURCE), lambda: check(q.get()))


def fill(lend):
    with lend(SOURCE.shape, SOURCE.dtype) as a:
        numpy.asarray(a)[:] = SOURCE


def in_place(count):
    q = shmq.Queue(capacity_bytes=ROOM)

    def receive():
        with q.lease_array() as a:
            check(numpy.asarray(a))

    return measured(count, lambda: fill(q.loan), receive)


def copied_to_in_place(count):
    q = shmq.Queue(capacity_bytes=ROOM)

    def receive():
        with q.lease_array() as a:
            check(numpy.asarray(a))

    return measured(count, lambda: q.put(SOURCE), receive)


def fan_out(send, read):
    def run(count):
        topic = shmq.Topic(name=f"bench-{os.getpid()}", capacity_bytes=ROOM)
        mine = topic.subscribe()

        def listen():
            subscriber = shmq.Topic.open(topic.name).subscribe()
            for _ in range(count):
                read(subscriber)

        waits = [beside(listen) for _ in range(2)]
        topic.wait_subscribers(3, timeout=30)
        rate = measured(count, lambda: send(topic), lambda: read(mine))
        for wait in waits:
            wait()
        return rate

    return run


def read_in_place(subscriber):
    with subscriber.read_array() as a:
        check(numpy.asarray(a))


CASES = {
    "multiprocessing.Queue": theirs(multiprocessing.Queue),
    "multiprocessing.SimpleQueue": theirs(multiprocessing.SimpleQueue),
    "copy": copied,
    "copy, read in place": copied_to_in_place,
    "in place": in_place,
    "fan-out by copy": fan_out(lambda topic: topic.publish(SOURCE), lambda subscriber: check(subscriber.get())),
    "fan-out in place": fan_out(lambda topic: fill(topic.loan), read_in_place),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--room", type=int, default=ROOM, help="capacity_bytes of a queue")
    given = parser.parse_args()
    globals()["ROOM"] = given.room
    cases = dict.fromkeys(["multiprocessing.Queue", *(given.cases or CASES)])
    rates = {case: [] for case in cases}
    for _ in range(given.rounds):
        for case in cases:
            rates[case].append(CASES[case](given.count // 10 if "multi" in case else given.count))
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, median of {given.rounds}")
    base = statistics.median(rates["multiprocessing.Queue"])
    for case, found in rates.items():
        rate = statistics.median(found)
        print(f"{case:28} {rate:10,.0f} /s {1e6 / rate:8.1f} us {rate / base:7.1f}")


if __name__ == "__main__":
    main()
