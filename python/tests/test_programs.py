"""The four small programs that the package was made for: what they print under multiprocessing."""

import multiprocessing
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAMS = pathlib.Path(__file__).parent / "programs"

PRINTED = {
    "globals": ["in work1 num is 101", "in work2 num is 110", "in main num is 100"],
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


IMPORT = "from shmq.multiprocessing import"


def run(program, start_method, directory):
    """What the program prints, where that is the interpreter's start method."""
    (directory / "sitecustomize.py").write_text(f"import multiprocessing; multiprocessing.set_start_method({start_method!r})")
    environment = {**os.environ, "PYTHONPATH": str(directory)}
    ran = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout.splitlines()


@pytest.mark.parametrize("start_method", multiprocessing.get_all_start_methods())
@pytest.mark.parametrize("name", PRINTED)
def test_program_prints_what_it_shall(name, start_method, tmp_path):
    assert run(PROGRAMS / f"{name}.py", start_method, tmp_path) == PRINTED[name]


@pytest.mark.parametrize("name", PRINTED)
def test_program_prints_the_same_with_multiprocessing(name, tmp_path):
    text = (PROGRAMS / f"{name}.py").read_text()
    assert text.count(IMPORT) == 1
    program = tmp_path / "program.py"
    program.write_text(text.replace(IMPORT, "from multiprocessing import"))
    assert run(program, "fork", tmp_path) == PRINTED[name]
