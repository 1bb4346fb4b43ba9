"""python -m shmq: the command shmq, which lists, watches and operates live queues."""

import sys

from ._shmq import command

if __name__ == "__main__":
    sys.stdout.flush()
    sys.exit(command(["shmq", *sys.argv[1:]]))
