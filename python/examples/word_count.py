"""Counts words with worker processes that may be killed at any time: their work comes back."""

from __future__ import annotations

import collections
import sys

from shmq import Queue, ShutDown
from shmq.multiprocessing import Process


def work(texts: Queue[str], counts: Queue[dict[str, int]]) -> None:
    while True:
        try:
            lease = texts.lease()
        except ShutDown:
            return
        with lease as text:
            counts.put(dict(collections.Counter(text.split())))


def main() -> None:
    texts: Queue[str] = Queue(100)
    counts: Queue[dict[str, int]] = Queue()
    workers = [Process(target=work, args=(texts, counts)) for _ in range(2)]
    for worker in workers:
        worker.start()
    lines = [line.strip() for line in open(sys.argv[1] if sys.argv[1:] else __file__)]
    total: collections.Counter[str] = collections.Counter()
    texts.put_many(lines)
    for _ in lines:
        total.update(counts.get())
    texts.shutdown()
    for worker in workers:
        worker.join()
    for word, count in total.most_common(5):
        print(f"{count:6} {word}")


if __name__ == "__main__":
    main()
