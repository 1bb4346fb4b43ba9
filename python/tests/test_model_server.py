"""The example of a model server, with a rank that is killed."""

import pathlib
import subprocess
import sys

import pytest

EXAMPLE = pathlib.Path(__file__).parent.parent / "examples" / "model_server.py"


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_rank_that_is_killed_holds_up_nobody(ranks):
    pytest.importorskip("numpy")
    ran = subprocess.run([sys.executable, str(EXAMPLE), str(ranks), "12"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        f"rank {ranks - 1} was killed at step 6: another one takes its place",
        f"12 tensors, each read in place by {ranks} ranks",
    ]
