"""A task that waits for a queue which another process fills."""

import asyncio

from shmq import Queue
from shmq.multiprocessing import Process


def measure(samples: "Queue[float]") -> None:
    for n in range(10):
        samples.put(n / 10)
    samples.shutdown()


async def main() -> None:
    samples: Queue[float] = Queue(4)
    process = Process(target=measure, args=(samples,))
    process.start()
    total = 0.0
    async for sample in samples:
        total += sample
    process.join()
    print(f"sum: {total}")


if __name__ == "__main__":
    asyncio.run(main())
