"""A model server: one process broadcasts tensors, N ranks read them in place; one of them is killed.

    python examples/model_server.py [RANKS [STEPS]]

No rank copies a tensor, and none waits for another one. The rank that is killed, in the middle of a
tensor, holds up nobody: the server starts another one, which begins with the newest tensor.
"""

from __future__ import annotations

import os
import signal
import sys

import numpy

from shmq import Array, Empty, Queue, ShutDown, Topic
from shmq.multiprocessing import Process

SHAPE = (1024, 1024)  # 4 MiB of float32
Answers = Queue[tuple[int, int, float]]


def shard(tensor: Array, rank: int, ranks: int) -> tuple[int, float]:
    """What a rank computes of a tensor, which is no longer viewed when this returns."""
    rows = numpy.asarray(tensor)
    return int(rows[0, 0]), float(rows[rank::ranks].sum(dtype="f8"))


def run_rank(topic: Topic[object], answers: Answers, rank: int, ranks: int, dies_at: int | None) -> None:
    subscriber = topic.subscribe()
    while True:
        try:
            with subscriber.read_array() as tensor:
                step, part = shard(tensor, rank, ranks)
                if step == dies_at:
                    os.kill(os.getpid(), signal.SIGKILL)
        except ShutDown:
            return
        answers.put((rank, step, part))


def serve(ranks: int, steps: int) -> None:
    # Room for a few tensors. history=1: a rank that joins begins with the newest one.
    topic: Topic[object] = Topic(capacity_bytes=8 * SHAPE[0] * SHAPE[1] * 4, history=1)
    answers: Answers = Queue()

    def start(rank: int, dies_at: int | None = None) -> Process:
        process = Process(target=run_rank, args=(topic, answers, rank, ranks, dies_at))
        process.start()
        return process

    processes = {rank: start(rank, steps // 2 if rank == ranks - 1 else None) for rank in range(ranks)}
    topic.wait_subscribers(ranks, timeout=60)
    for step in range(steps):
        with topic.loan(SHAPE, "f4") as tensor:
            numpy.asarray(tensor)[:] = step
        parts: dict[int, float] = {}
        while len(parts) < ranks:
            try:
                rank, of, part = answers.get(timeout=0.1)
                if of == step:
                    parts[rank] = part
            except Empty:
                for rank, process in processes.items():
                    if not process.is_alive():
                        print(f"rank {rank} was killed at step {step}: another one takes its place", flush=True)
                        processes[rank] = start(rank)
        assert sum(parts.values()) == step * SHAPE[0] * SHAPE[1], parts
    topic.close()
    for process in processes.values():
        process.join()
    print(f"{steps} tensors, each read in place by {ranks} ranks")


if __name__ == "__main__":
    given = [int(number) for number in sys.argv[1:]]
    ranks, steps = given + [3, 20][len(given) :]
    serve(ranks, steps)
