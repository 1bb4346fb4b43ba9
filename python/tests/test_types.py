"""Type stubs, and what `help` says."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

import shmq

EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="no mypy")
def test_examples_pass_mypy_strict():
    ran = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--no-incremental", EXAMPLES], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


def test_examples_run():
    for example in EXAMPLES.glob("*.py"):
        subprocess.run([sys.executable, example], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("verb", ["put", "get", "lease", "shutdown", "close", "put_many", "get_many"])
def test_help_says_what_a_verb_does(verb):
    assert len(getattr(shmq.Queue, verb).__doc__) > 80


def test_help_of_get_says_all():
    text = shmq.Queue.get.__doc__
    for word in ("timeout", "queue.Empty", "block=False", "ShutDown", "At most once", "lease()"):
        assert word in text
