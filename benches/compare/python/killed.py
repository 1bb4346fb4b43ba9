"""Processes that the bench kills: `killed.py KIND LEDGER_FD`, with orders on stdin, one answer a line.

    channel       makes a channel            -> ok
    produce I     starts the producer I      -> its pid
    consume I     starts the consumer I      -> its pid
    ended PID     waits for a process        -> its exit code, or its signal negated
    end           ends

The ledger is that of `src/killed/ledger.rs`: a page in which each process notes what it did.
"""
import ctypes
import mmap
import os
import signal
import struct
import sys
import time

from rivals import KINDS, clean, context

MESSAGES = 1 << 20
ROLE_WORDS, PRODUCERS, CONSUMERS, TEXTS, HEAD_BYTES = 64, 16, 16 + 128, 512, 8192
READY = 0
RETURNED, LIMIT, FAILED = 1, 2, 3
NOTED, ASKING, LAST, TORN = 1, 2, 3, 5
CAPACITY, WORDS, MOST_ERRORS = 64, 8, 3
U64 = (1 << 64) - 1


def mix(value):
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & U64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & U64
    return value ^ (value >> 31)


def stamp(producer, number):
    origin = producer << 20 | number
    return mix(origin + 1) >> 24 << 21 | origin


def parcel(message):
    """(producer, number), or None: torn."""
    words = struct.unpack("8Q", message) if len(message) == 8 * WORDS else (0,)
    origin = words[0] & ((1 << 21) - 1)
    if words != (words[0],) * WORDS or words[0] != stamp(origin >> 20, origin & (MESSAGES - 1)):
        return None
    return origin >> 20, origin & (MESSAGES - 1)


class Ledger:
    def __init__(self, fd):
        whole = memoryview(mmap.mmap(fd, HEAD_BYTES + 2 * MESSAGES))
        self.words = whole[:HEAD_BYTES].cast("Q")
        self.taken = whole[HEAD_BYTES:]

    def went_wrong(self, role, text):
        at = TEXTS + role * ROLE_WORDS
        text = text.encode()[: (ROLE_WORDS - 1) * 8]
        if self.words[at] == 0:
            padded = text + b"\0" * (-len(text) % 8)
            for place, word in enumerate(struct.unpack(f"{len(padded) // 8}Q", padded)):
                self.words[at + 1 + place] = word
            self.words[at] = len(text)


def produce(ledger, channel, index):
    words, page = ledger.words, PRODUCERS + index * ROLE_WORDS
    words[page + READY] = 1
    while True:
        number = words[page + RETURNED]
        if number >= min(words[page + LIMIT], MESSAGES):
            time.sleep(20e-6)
            continue
        try:
            channel.put(struct.pack("Q", stamp(index, number)) * WORDS)
        except Exception:
            failed = words[page + FAILED]
            words[page + FAILED + 1 + failed] = number
            words[page + FAILED] = failed + 1
            words[page + RETURNED] = number + 1
            raise
        words[page + RETURNED] = number + 1


def consume(ledger, channel, index):
    words, page = ledger.words, CONSUMERS + index * ROLE_WORDS
    words[page + READY] = 1
    while True:
        words[page + ASKING] = 1
        for message in channel.get_some():
            known = parcel(message)
            if known is None:
                words[page + TORN] += 1
                continue
            producer, number = known
            ledger.taken[producer * MESSAGES + number] += 1
            words[page + LAST + producer] = number + 1
            words[page + NOTED] += 1
        words[page + ASKING] = 0


def play(body, ledger, channel, index, role, parent):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    for _ in range(MOST_ERRORS):
        try:
            body(ledger, channel, index)
        except Exception as problem:
            ledger.went_wrong(role, f"{type(problem).__name__}: {problem}")
        time.sleep(2e-3)
    os._exit(3)


def main(kind, fd):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    ledger, channel, processes = Ledger(int(fd)), None, {}
    for line in sys.stdin:
        what, *rest = line.split()
        if what == "channel":
            channel, answer = KINDS[kind](CAPACITY, 8 * WORDS), "ok"
        elif what in ("produce", "consume"):
            index = int(rest[0])
            body, role = (produce, index) if what == "produce" else (consume, 2 + index)
            process = context.Process(target=play, args=(body, ledger, channel, index, role, os.getpid()), daemon=True)
            process.start()
            processes[process.pid] = process
            answer = process.pid
        elif what == "ended":
            process = processes.pop(int(rest[0]))
            process.join(5)
            answer = 0 if process.exitcode is None else process.exitcode
        else:
            break
        print(answer, flush=True)
    for process in processes.values():
        process.kill()
        process.join()
    clean()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
