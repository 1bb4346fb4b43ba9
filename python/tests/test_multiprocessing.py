"""shmq.multiprocessing stands in for multiprocessing."""

import importlib
import multiprocessing as theirs
import pkgutil
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import connection

import pytest

from shmq import multiprocessing as ours


def test_every_public_name_is_there():
    assert set(theirs.__all__) <= set(ours.__all__)
    assert all(hasattr(ours, name) for name in theirs.__all__)


SUBMODULES = [module.name for module in pkgutil.walk_packages(theirs.__path__) if "win32" not in module.name]


@pytest.mark.parametrize("name", SUBMODULES)
def test_every_submodule_is_there(name):
    standard = importlib.import_module(f"multiprocessing.{name}")
    module = importlib.import_module(f"shmq.multiprocessing.{name}")
    for public in getattr(standard, "__all__", ()):
        assert hasattr(module, public)


def test_what_is_not_ours_is_theirs():
    assert ours.Process is theirs.Process
    assert ours.current_process is theirs.current_process
    from shmq.multiprocessing.connection import Client

    assert Client is theirs.connection.Client
    with pytest.raises(ModuleNotFoundError):
        import shmq.multiprocessing.nonsense  # noqa: F401


def test_start_methods_are_theirs(run):
    lines = run(
        """
        import multiprocessing as theirs
        from shmq import multiprocessing as ours
        print(ours.get_start_method(allow_none=True))
        ours.set_start_method("spawn")
        print(theirs.get_start_method(), ours.get_context().Process.__name__)
        print(ours.get_context("fork").get_start_method(), ours.get_all_start_methods() == theirs.get_all_start_methods())
        try:
            ours.set_start_method("fork")
        except RuntimeError:
            print("set already")
        """
    )
    assert lines == ["None", "spawn SpawnProcess", "fork True", "set already"]


def test_importing_is_quick_and_imports_little(run):
    lines = run(
        """
        import sys, time
        import shmq
        print(*sorted(name for name in ("numpy", "multiprocessing", "pickle", "queue") if name in sys.modules))
        """
    )
    assert lines == [""]




def test_the_hook_for_errors_is_honoured():
    from shmq.multiprocessing.queues import Queue

    class Quiet(Queue):
        seen = []

        @staticmethod
        def _on_queue_feeder_error(e, obj):
            Quiet.seen.append((type(e), obj))

    q = Quiet(ctx=ours.get_context())
    unpicklable = lambda: None  # noqa: E731
    q.put(unpicklable)
    assert Quiet.seen[0][1] is unpicklable
    assert q.empty()
    with pytest.raises(Exception, match="pickle|local object"):
        ours.Queue().put(unpicklable)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_concurrent_futures_takes_a_context(method):
    # Its results come by the context's SimpleQueue, which it waits for beside its workers.
    with ProcessPoolExecutor(2, mp_context=ours.get_context(method)) as executor:
        assert list(executor.map(abs, range(-50, 0), timeout=60)) == list(range(50, 0, -1))


def test_a_simple_queue_is_waited_for_beside_pipes():
    q, (reader, writer) = ours.SimpleQueue(), ours.Pipe(duplex=False)
    both = [q._reader, reader]
    assert connection.wait(both, timeout=0.01) == []
    writer.send("by the pipe")
    assert connection.wait(both, timeout=30) == [reader]
    assert reader.recv() == "by the pipe"
    threading.Timer(0.1, q.put, ("by the queue",)).start()
    assert connection.wait(both, timeout=30) == [q._reader]
    assert connection.wait(both, timeout=30) == [q._reader]
    assert q._reader.recv() == "by the queue"
    assert connection.wait(both, timeout=0.01) == []
