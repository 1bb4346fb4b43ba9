"""What is behind shmq.multiprocessing.pool.

| question | file |
|---|---|
| who puts tasks, takes results, and notices deaths? | `core` |
| what does a caller wait on? | `jobs` |
| what does a worker do? | `worker` |
| what may fail? | `errors` |
"""
