"""CPython's own tests of multiprocessing, against shmq.multiprocessing.

The classes come from the interpreter's file test/_test_multiprocessing.py. They are bound to this
package's contexts instead of the standard ones, and nothing else of them is changed.

The last test of each module checks what ran: every class has tests that passed, and what was skipped
is in SKIPPED. It fails if only a part of the module is run.

SHMQ_CPYTHON=all runs all classes of that file, those of what is the standard module's own too.
"""

import os
import sys
import unittest

import pytest

# Some builds of Python come without their tests.
pytest.importorskip("test._test_multiprocessing")

import test._test_multiprocessing as theirs  # noqa: E402
import test.support  # noqa: E402

import shmq.multiprocessing  # noqa: E402
import shmq.multiprocessing.pool  # noqa: E402
import shmq.multiprocessing.queues  # noqa: E402

# Those of `Queue` have JoinableQueue in them, those of `Lock` have RLock, those of `Connection` have Pipe.
CLASSES = [
    "WithProcessesTestQueue",
    "WithProcessesTestLock",
    "WithProcessesTestSemaphore",
    "WithProcessesTestCondition",
    "WithProcessesTestEvent",
    "WithProcessesTestBarrier",
    "WithProcessesTestValue",
    "WithProcessesTestArray",
    "WithProcessesTestSharedCTypes",
    "WithProcessesTestPool",
    "WithProcessesTestPoolWorkerErrors",
    "WithProcessesTestPoolWorkerLifetime",
    "WithProcessesTestConnection",
    "WithProcessesTestPicklingConnections",
    "WithManagerTestQueue",
    "TestPoolNotLeakOnFailure",
    "TestSimpleQueue",
]

_STOPS = "asks that `put` of what cannot be pickled succeeds and prints; here it raises, and nothing is put"
_NOT_MANAGER = "the test skips itself: it asks about what only a queue without a manager has"

# Class, test, why. The README has the same table.
SKIPPED = [
    ("WithProcessesTestQueue", "test_queue_feeder_donot_stop_onexc", _STOPS),
    ("WithManagerTestQueue", "test_queue_feeder_donot_stop_onexc", _NOT_MANAGER),
    ("WithManagerTestQueue", "test_queue_feeder_on_queue_feeder_error", _NOT_MANAGER),
]

# Of SHMQ_CPYTHON=all, beside what skips itself.
_NOT_OURS = [
    (
        "TestResourceTracker",
        "test_resource_tracker_sigkill",
        "kills the resource tracker and asks that the next semaphore starts it: no semaphore here is registered with it",
    ),
    (
        "_TestImportStar",
        "test_import",
        "lists the files of the standard module's directory: test_multiprocessing.py asks the same of this package",
    ),
]

ALL = os.environ.get("SHMQ_CPYTHON") == "all"


def _skip(module):
    for class_name, method, why in SKIPPED + _NOT_OURS:
        test_class = module.get(class_name)
        # Newer versions have other tests.
        if hasattr(test_class, method):
            setattr(test_class, method, unittest.skip(why)(getattr(test_class, method)))


def install(module, start_method):
    """Puts the tests of one start method into a module of tests."""
    theirs.multiprocessing = shmq.multiprocessing
    for name, value in vars(theirs.ProcessesMixin).items():
        if not name.startswith("_") and name != "TYPE" and hasattr(shmq.multiprocessing, name):
            ours = getattr(shmq.multiprocessing, name)
            setattr(theirs.ProcessesMixin, name, staticmethod(ours) if isinstance(value, staticmethod) else ours)
    found = {"__name__": module["__name__"]}
    theirs.install_tests_in_module_dict(found, start_method)
    set_up, tear_down = found.pop("setUpModule"), found.pop("tearDownModule")
    names = [name for name, value in found.items() if isinstance(value, type) and "WithThreads" not in name] if ALL else CLASSES
    module.update((name, found[name]) for name in names)
    _skip(module)

    def tearDownModule():
        test.support.environment_altered = False
        tear_down()
        assert not test.support.environment_altered, "processes or threads are left: see above"

    def test_every_class_ran(request):
        ran = _outcomes(request.node.nodeid.split("::")[0])
        for name in names if not ALL else CLASSES:
            methods = unittest.defaultTestLoader.getTestCaseNames(module[name])
            assert set(ran.get(name, ())) == set(methods), f"not all of {name} ran: is only a part of the module run?"
            assert "passed" in ran[name].values(), f"no test of {name} passed"
        if not ALL:
            skipped = {(name, method) for name in names for method, outcome in ran[name].items() if outcome == "skipped"}
            assert skipped <= {(name, method) for name, method, _ in SKIPPED}

    module.update(setUpModule=set_up, tearDownModule=tearDownModule, test_every_class_ran=test_every_class_ran)


def _outcomes(path):
    """What became of the tests of a file: {class: {method: outcome}}."""
    conftest = sys.modules["conftest"]
    return conftest.cpython_outcomes.get(path, {})
