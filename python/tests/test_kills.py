"""Processes killed at random: nothing hangs, and the ledger balances.

SHMQ_KILLS says how many are killed in each test: 200 if it is not set, 2000 in a full run.
"""

import mmap
import os
import random
import signal
import time

import pytest

import shmq
from shmq import multiprocessing

KILLS = int(os.environ.get("SHMQ_KILLS", "200"))
PUTTERS = GETTERS = 4
MOST = 1 << 24  # messages of one putter
PATIENCE = 30


class Ledger:
    """In memory that all children share: what each putter began and finished to put, and how often each
    message was seen. One process at a time writes each word."""

    def __init__(self):
        self.words = memoryview(mmap.mmap(-1, 8 * 2 * PUTTERS)).cast("Q")
        self.under_way = memoryview(mmap.mmap(-1, PUTTERS * MOST))
        self.seen = memoryview(mmap.mmap(-1, PUTTERS * MOST))

    def begin(self, putter):
        number = self.words[putter]
        assert number < MOST, "the ledger is full"
        self.under_way[putter * MOST + number] = 1
        self.words[putter] = number + 1
        return number

    def finish(self, putter, number):
        self.under_way[putter * MOST + number] = 0
        self.words[PUTTERS + putter] += 1

    def see(self, putter, number):
        self.seen[putter * MOST + number] += 1

    def finished(self):
        return sum(self.words[PUTTERS:])

    def lost(self):
        """Messages that were put and never seen."""
        count = 0
        for putter in range(PUTTERS):
            seen = self._seen(putter)
            number = seen.find(0)
            while number >= 0:
                count += not self.under_way[putter * MOST + number]
                number = seen.find(0, number + 1)
        return count

    def most_often(self):
        """How often the message was seen that was seen most often."""
        return max(max(self._seen(putter), default=0) for putter in range(PUTTERS))

    def _seen(self, putter):
        return bytes(self.seen[putter * MOST : putter * MOST + self.words[putter]])


def fork(work, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            work(*arguments)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(1)
    return pid


def put(q, ledger, putter):
    while True:
        number = ledger.begin(putter)
        q.put({"putter": putter, "number": number, "padding": b"x" * (number % 700)})
        ledger.finish(putter, number)


def get(q, ledger, putter):
    while True:
        message = q.get()
        ledger.see(message["putter"], message["number"])


def lease(q, ledger, putter):
    while True:
        with q.lease() as message:
            ledger.see(message["putter"], message["number"])


def end(pid, by=signal.SIGKILL):
    os.kill(pid, by)
    os.waitpid(pid, 0)


def storm(q, ledger, take):
    """Kills putters and getters; returns how many getters."""
    roles = [(put, n) for n in range(PUTTERS)] + [(take, n) for n in range(GETTERS)]
    pids = [fork(work, q, ledger, n) for work, n in roles]
    killed = 0
    try:
        for _ in range(KILLS):
            time.sleep(random.random() / 200)
            victim = random.randrange(len(roles))
            end(pids[victim])
            killed += roles[victim][0] is take
            pids[victim] = fork(roles[victim][0], q, ledger, roles[victim][1])
            before, deadline = ledger.finished(), time.monotonic() + PATIENCE
            while ledger.finished() == before:
                assert time.monotonic() < deadline, "no putter finishes any more"
                time.sleep(0.0005)
    finally:
        for pid in pids:
            end(pid)
    while True:
        try:
            with q.lease(timeout=1) as message:
                ledger.see(message["putter"], message["number"])
        except shmq.Empty:
            return killed + GETTERS


@pytest.mark.parametrize("maxsize", [3, 0])
def test_nothing_that_was_put_is_lost_by_leases(maxsize):
    q, ledger = shmq.Queue(maxsize, capacity_bytes=1 << 16), Ledger()
    storm(q, ledger, lease)
    assert ledger.lost() == 0
    assert q.empty()


def test_a_get_takes_each_message_once_and_a_kill_at_most_one():
    q, ledger = shmq.Queue(8, capacity_bytes=1 << 16), Ledger()
    killed = storm(q, ledger, get)
    assert ledger.most_often() == 1
    assert ledger.lost() <= killed


@pytest.mark.parametrize("make", [multiprocessing.Lock, multiprocessing.RLock])
def test_a_lock_outlives_its_holders(make):
    lock, words = make(), memoryview(mmap.mmap(-1, 16)).cast("Q")

    def work():
        while True:
            with lock:
                words[0] += 1
                words[1] += 1

    pids = [fork(work) for _ in range(4)]
    try:
        for _ in range(KILLS // 2):
            before, deadline = words[0], time.monotonic() + PATIENCE
            while words[0] == before:
                assert time.monotonic() < deadline, "no process acquires the lock any more"
                time.sleep(0.0005)
            victim = random.randrange(len(pids))
            end(pids[victim])
            pids[victim] = fork(work)
    finally:
        for pid in pids:
            end(pid)
    assert lock.acquire(timeout=PATIENCE)
    # One between the two additions, for each that was killed there.
    assert 0 <= words[0] - words[1] <= KILLS // 2 + len(pids)
