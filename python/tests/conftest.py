"""What the tests share."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest


def has_segment(name):
    """Is there a segment of that name in shared memory?"""
    return pathlib.Path("/dev/shm", f"shmq.{name}").exists()


@pytest.fixture
def run():
    """Runs a program, and returns what it printed: a list of lines."""

    def run(text, *arguments, status=0):
        command = [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ran.returncode == status, ran.stderr
        assert status != 0 or ran.stderr == "", ran.stderr
        return ran.stdout.splitlines()

    return run


@pytest.fixture
def child():
    """Forks a child that runs a function; waits for all of them at the end."""
    pids = []

    def child(function, *arguments):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                function(*arguments)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
        return pid

    yield child
    for pid in pids:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # The test has reaped it.
