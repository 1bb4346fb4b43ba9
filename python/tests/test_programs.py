"""The four small programs that the package was made for: what they print under multiprocessing."""

import pathlib
import subprocess
import sys

import pytest

PROGRAMS = pathlib.Path(__file__).parent / "programs"

PRINTED = {
    "globals": ["in work1 num is 101", "in work2 num is 100", "in main num is 100"],
    "bounded": [
        "False",
        "True",
        "the queue is full, it has 3 messages",
        "the queue is full, it has 3 messages",
        "message 1",
        "message 2",
        "message 3",
        "True",
    ],
    "reader_writer": [
        *[f"Put {value} to queue..." for value in "ABC"],
        *[f"Get {value} from queue." for value in "ABC"],
        "",
        "all is written and read",
    ],
    "pool_queue": ["writer (True) starts", "reader (True) starts", *[f"reader got {letter}" for letter in "shmq"], "end"],
}


@pytest.mark.parametrize("name", PRINTED)
def test_program_prints_what_it_prints_with_multiprocessing(name):
    ran = subprocess.run([sys.executable, PROGRAMS / f"{name}.py"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == PRINTED[name]
    assert ran.stderr == ""
