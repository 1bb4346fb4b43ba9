"""The documents are true: each block of Python runs as a program, and prints what the text block behind it says."""

import pathlib
import re
import subprocess
import sys

import cpython
import pytest

ROOT = pathlib.Path(__file__).parents[2]
DOCUMENTS = [ROOT / "python" / "README.md", ROOT / "docs" / "from-python.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)

PROGRAMS = {
    f"{document.stem}-{number}": (code, said or None)
    for document in DOCUMENTS
    if document.exists()
    for number, (code, said) in enumerate(BLOCK.findall(document.read_text()))
}


def run(text, directory):
    program = directory / "program.py"
    program.write_text(text)
    return subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60)


def test_programs_are_found():
    assert len(PROGRAMS) >= 9
    assert sum(said is not None for _, said in PROGRAMS.values()) >= 4


@pytest.mark.parametrize("name", PROGRAMS)
def test_block_runs(name, tmp_path):
    code, said = PROGRAMS[name]
    if "numpy" in code or "StructQueue" in code:
        pytest.importorskip("numpy")
    ran = run(code, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert said is None or ran.stdout == said


def test_the_killed_worker_of_the_readme_breaks_the_queue_of_multiprocessing(tmp_path):
    [code] = [code for code, _ in PROGRAMS.values() if "worker.kill()" in code]
    ran = run(code.replace("from shmq.multiprocessing", "from multiprocessing"), tmp_path)
    assert ran.returncode == 1
    assert "_queue.Empty" in ran.stderr


def test_the_table_of_skips_is_that_of_the_driver():
    text = DOCUMENTS[0].read_text()
    for class_name, method, why in cpython.SKIPPED:
        assert f"| `{class_name}.{method}` | {why} |" in text
    assert text.count("| `With") == len(cpython.SKIPPED)
