"""Type stubs: they fit the programs of users, and the run-time."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
EVERYTHING = HERE / "typed" / "everything.py"
ALLOWED = HERE / "typed" / "stubtest-allowlist.txt"


def needs(module):
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"no {module}: pip install {module}")


def check(*command, directory):
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "MYPY_CACHE_DIR": str(directory / "cache")}
    ran = subprocess.run(
        [sys.executable, "-m", *map(str, command)], capture_output=True, text=True, cwd=directory, env=environment
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@needs("mypy")
def test_programs_pass_mypy_strict(tmp_path):
    # reveal_type shows that types are known: a missing stub would make all of them Any.
    probe = tmp_path / "probe.py"
    probe.write_text("from shmq.multiprocessing import Queue\nq: Queue[int] = Queue(3)\nreveal_type(q.get())\n")
    said = check("mypy", "--strict", EXAMPLES, EVERYTHING, probe, directory=tmp_path)
    assert 'Revealed type is "int"' in said or 'Revealed type is "builtins.int"' in said


@needs("mypy")
def test_mypy_finds_what_is_wrong(tmp_path):
    wrong = ["q.put('text')", "q.get(tiemout=1)", "n: str = q.get()", "q.nonsense()"]
    program = tmp_path / "wrong.py"
    program.write_text("\n".join(["import shmq", "q: shmq.Queue[int] = shmq.Queue(3)", *wrong]))
    with pytest.raises(AssertionError, match="Found 4 errors"):
        check("mypy", "--strict", program, directory=tmp_path)


@needs("pyright")
def test_programs_pass_pyright(tmp_path):
    settings = tmp_path / "pyrightconfig.json"
    settings.write_text('{"typeCheckingMode": "strict", "reportUnknownMemberType": false, "reportUnknownVariableType": false}')
    for program in (*EXAMPLES.glob("*.py"), EVERYTHING):
        (tmp_path / program.name).write_text(program.read_text())
    check("pyright", "--warnings", "--pythonpath", sys.executable, directory=tmp_path)


@needs("mypy")
def test_stubs_are_what_the_package_is(tmp_path):
    # Without stubs: what no program imports.
    private = tmp_path / "mypy.ini"
    private.write_text("[mypy]\n[mypy-shmq._pool.*,shmq._dtypes]\nignore_errors = True\n")
    options = ["--ignore-unused-allowlist", "--ignore-disjoint-bases", "--mypy-config-file", private]
    check("mypy.stubtest", "shmq", "--allowlist", ALLOWED, *options, directory=tmp_path)


def test_the_program_that_uses_everything_runs():
    pytest.importorskip("numpy")
    subprocess.run([sys.executable, EVERYTHING], check=True, timeout=60)


def test_examples_run():
    examples = list(EXAMPLES.glob("*.py"))
    assert examples
    for example in examples:
        subprocess.run([sys.executable, example], check=True, capture_output=True, timeout=60)
