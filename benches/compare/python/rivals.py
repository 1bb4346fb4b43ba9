"""The Python rivals: multiprocessing.Queue, faster-fifo, cloudtoid-interprocess. One measurement a call, as JSON on stdout.

    rivals.py check
    rivals.py flow     KIND BYTES SIDES SECONDS CORES
    rivals.py ping_pong    KIND TURNS CORES
    rivals.py first    KIND ROUNDS
    rivals.py idle     KIND SECONDS CORES

Every message is built afresh and every byte of it is read (`bytes.count`); lost or damaged
messages are an error.
"""
import glob
import importlib.util
import json
import multiprocessing
import os
import queue
import resource
import shutil
import sys
import time

FOREVER = 1e6
context = multiprocessing.get_context("fork")


class Mp:
    """multiprocessing.Queue"""

    def __init__(self, capacity, size):
        self.queue = context.Queue(min(capacity, 32767))  # a semaphore's largest value

    def put(self, message):
        self.queue.put(message)

    def get_some(self):
        return [self.queue.get()]


class Fifo:
    """faster_fifo.Queue, with get_many, its best use"""

    def __init__(self, capacity, size):
        import faster_fifo

        self.queue = faster_fifo.Queue(max_size_bytes=max(capacity * (size + 64), 1 << 20))

    def put(self, message):
        while True:
            try:
                return self.queue.put(message, timeout=FOREVER)
            except queue.Full:
                pass

    def get_some(self):
        while True:
            try:
                return self.queue.get_many(max_messages_to_get=32, timeout=FOREVER)
            except queue.Empty:
                pass


class Cloudtoid:
    """cloudtoid_interprocess, a queue of bytes: a message a call. Each process opens its own ends."""

    made = 0

    def __init__(self, capacity, size):
        Cloudtoid.made += 1
        self.name = f"{os.getpid()}-{Cloudtoid.made}"
        # A message has a header of 8 bytes and is padded to 8.
        self.bytes = capacity * (8 + (size + 7 & ~7))
        self.ends = {}
        self.end("Subscriber")  # a queue lives as long as an end of it

    def end(self, kind):
        if (os.getpid(), kind) not in self.ends:
            import cloudtoid_interprocess

            self.ends[os.getpid(), kind] = getattr(cloudtoid_interprocess, kind)(self.name, self.bytes, path=directory())
        return self.ends[os.getpid(), kind]

    def put(self, message):
        publisher, misses = self.end("Publisher"), 0
        while not publisher.try_send(message):
            misses += 1
            if misses > 64:  # there is no call that sleeps until there is room
                time.sleep(0)

    def get_some(self):
        return [self.end("Subscriber").receive()]


def directory():
    """Of the files of a queue, in shared memory: by default they would lie in the temporary directory."""
    return f"/dev/shm/shmq-compare-python-{MAIN}"


def clean():
    """Removes what the queues of this program left."""
    shutil.rmtree(directory(), ignore_errors=True)
    for semaphore in glob.glob(f"/dev/shm/sem.ct3ip.{MAIN}-*"):
        os.unlink(semaphore)


MAIN = os.getpid()
KINDS = {"mp": Mp, "fifo": Fifo, "cloudtoid": Cloudtoid}
MODULES = {"fifo": "faster_fifo", "cloudtoid": "cloudtoid_interprocess"}


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def child(body, core, results):
    def run():
        if core is not None:
            os.sched_setaffinity(0, {core})
        results.put(body())

    process = context.Process(target=run)
    process.start()
    return process


def collect(processes, results):
    reports = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(10)
        if process.exitcode != 0:
            sys.exit(f"a process ended with {process.exitcode}")
    return reports


def flow(kind, size, sides, count, cores):
    channel = KINDS[kind](max(4, min(1024, (4 << 20) // size)), size)  # as the other rivals
    results = context.Queue()
    barrier = context.Barrier(sides * 2)

    def produce():
        payloads = [bytes([value]) for value in range(1, 129)]
        barrier.wait()
        before, start = cpu(), time.monotonic()
        for number in range(count):
            channel.put(payloads[number & 127] * size)
        return ("put", start, time.monotonic(), cpu() - before, count)

    def consume():
        barrier.wait()
        before, start, left = cpu(), time.monotonic(), count
        while left > 0:
            for message in channel.get_some():
                if len(message) != size or message.count(message[0]) != size:
                    raise SystemExit("a torn message")
                left -= 1
        return ("got", start, time.monotonic(), cpu() - before, count - left)

    def consume_many():
        # Several consumers do not know their shares beforehand: an empty message ends each of them.
        barrier.wait()
        before, start, got = cpu(), time.monotonic(), 0
        while True:
            some = channel.get_some()
            ends = 0
            for message in some:
                if not message:
                    ends += 1
                    continue
                if len(message) != size or message.count(message[0]) != size:
                    raise SystemExit("a torn message")
                got += 1
            if ends:
                for _ in range(ends - 1):
                    channel.put(b"")
                return ("got", start, time.monotonic(), cpu() - before, got)

    place = (lambda member: cores[member % len(cores)]) if sides == 1 else (lambda member: None)
    producers = [child(produce, place(0), results) for _ in range(sides)]
    consumers = [child(consume if sides == 1 else consume_many, place(1), results) for _ in range(sides)]
    if sides == 1:
        reports = collect(producers + consumers, results)
    else:
        reports = collect(producers, results)
        for _ in consumers:
            channel.put(b"")
        reports += collect(consumers, results)
    total = count * sides
    if sum(part[4] for part in reports if part[0] == "got") != total:
        sys.exit("messages lost")
    elapsed = max(part[2] for part in reports) - min(part[1] for part in reports)
    return {"nanos": elapsed / total * 1e9, "cpu_nanos": sum(part[3] for part in reports) / total * 1e9, "elapsed": elapsed, "count": total}


def flow_for(kind, size, sides, seconds, cores):
    first = flow(kind, size, sides, max(8, min(2000, (1 << 22) // size)) // sides, cores)
    return flow(kind, size, sides, max(8, int(first["count"] * seconds / first["elapsed"]) // sides), cores)


def ping_pong(kind, turns, cores):
    out, back = KINDS[kind](64, 64), KINDS[kind](64, 64)
    results = context.Queue()

    def ask():
        times = []
        for _ in range(turns):
            rested = time.perf_counter_ns() + 50_000
            while time.perf_counter_ns() < rested:
                pass
            start = time.perf_counter_ns()
            out.put(b"x" * 64)
            back.get_some()
            times.append(time.perf_counter_ns() - start)
        return times

    def answer():
        for _ in range(turns):
            back.put(out.get_some()[0])
        return None

    processes = [child(ask, cores[0], results), child(answer, cores[1 % len(cores)], results)]
    times = sorted(next(reports for reports in collect(processes, results) if reports))
    at = lambda quantile: float(times[min(len(times) - 1, int(len(times) * quantile))])
    return {"nanos": sum(times) / len(times), "percentiles": [at(0.5), at(0.99), at(0.999)]}


def first(kind, rounds):
    times = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        channel = KINDS[kind](64, 64)
        channel.put(b"x" * 64)
        channel.get_some()
        times.append(time.perf_counter_ns() - start)
        del channel
    times.sort()
    return {"nanos": float(times[len(times) // 2])}


def idle(kind, seconds, cores):
    channel, results = KINDS[kind](64, 64), context.Queue()

    def wait():
        before, start = cpu(), time.monotonic()
        channel.get_some()
        return (cpu() - before) / (time.monotonic() - start)

    process = child(wait, cores[1 % len(cores)], results)
    time.sleep(seconds)
    channel.put(b"x" * 64)
    return {"nanos": collect([process], results)[0] * 1e9}


def main(what, *rest):
    cores = [int(core) for core in rest[-1].split(",")] if what in ("flow", "ping_pong", "idle") else []
    if what == "check":
        kinds = ["mp"] + [kind for kind, module in MODULES.items() if importlib.util.find_spec(module)]
        return {"kinds": kinds, "python": sys.version.split()[0]}
    if what == "flow":
        return flow_for(rest[0], int(rest[1]), int(rest[2]), float(rest[3]), cores)
    if what == "ping_pong":
        return ping_pong(rest[0], int(rest[1]), cores)
    if what == "first":
        return first(rest[0], int(rest[1]))
    if what == "idle":
        return idle(rest[0], float(rest[1]), cores)
    sys.exit(__doc__)


if __name__ == "__main__":
    try:
        print(json.dumps(main(*sys.argv[1:])), flush=True)
    finally:
        clean()
    os._exit(0)  # feeder threads have nothing left to say
