"""What the tests share."""

import collections
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import pytest

# A shell that starts a run in the background has it ignore Ctrl-C, which the programs of tests would inherit.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long the end of a test waits for its children, in seconds.
PATIENCE = 60


# What became of CPython's tests (`cpython`): {file: {class: {method: outcome}}}.
cpython_outcomes = collections.defaultdict(lambda: collections.defaultdict(dict))


def pytest_runtest_logreport(report):
    path, *inside = report.nodeid.split("::")
    if "test_cpython_" in path and len(inside) == 2:
        class_name, method = inside
        if report.when == "call" or report.outcome != "passed":
            cpython_outcomes[path][class_name][method] = report.outcome


def pytest_terminal_summary(terminalreporter):
    """How many of CPython's tests ran under each start method."""
    if not cpython_outcomes:
        return
    paths = sorted(cpython_outcomes)
    methods = [path.rpartition("test_cpython_")[2].removesuffix(".py") for path in paths]
    terminalreporter.section("CPython's own tests: passed, skipped, failed")
    terminalreporter.write_line(f"{'':40}" + "".join(f"{method:>14}" for method in methods))
    for class_name in dict.fromkeys(name for path in paths for name in cpython_outcomes[path]):
        cells = []
        for path in paths:
            outcomes = list(cpython_outcomes[path][class_name].values())
            cells.append(" ".join(str(outcomes.count(outcome)) for outcome in ("passed", "skipped", "failed")))
        terminalreporter.write_line(f"{class_name:40}" + "".join(f"{cell:>14}" for cell in cells))


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
    """Forks a child that runs a function; waits for all of them at the end, and kills one that does not end."""
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
    deadline, hung = time.monotonic() + PATIENCE, []
    for pid in pids:
        try:
            while os.waitpid(pid, os.WNOHANG)[0] == 0:
                if time.monotonic() > deadline:
                    hung.append(pid)
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    break
                time.sleep(0.002)
        except ChildProcessError:
            pass  # The test has reaped it.
    assert not hung, f"children did not end within {PATIENCE} s, and were killed: {hung}"
