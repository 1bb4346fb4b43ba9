"""CPython's own tests of multiprocessing, against shmq.multiprocessing.

The classes come from the interpreter's file test/_test_multiprocessing.py. They are bound to this
package's contexts instead of the standard ones, and nothing else of them is changed.
"""

import unittest

import pytest

# Some builds of Python come without their tests.
pytest.importorskip("test._test_multiprocessing")

import test._test_multiprocessing as theirs  # noqa: E402

import shmq.multiprocessing  # noqa: E402
import shmq.multiprocessing.pool  # noqa: E402
import shmq.multiprocessing.queues  # noqa: E402

CLASSES = [
    "_TestQueue",
    "_TestLock",
    "_TestSemaphore",
    "_TestCondition",
    "_TestEvent",
    "_TestBarrier",
    "_TestValue",
    "_TestArray",
    "_TestSharedCTypes",
    "_TestPool",
    "_TestPoolWorkerErrors",
    "_TestPoolWorkerLifetime",
    "TestPoolNotLeakOnFailure",
    "_TestConnection",
    "_TestPicklingConnections",
    "TestSimpleQueue",
]

# Class, test, why it cannot pass.
SKIPPED = [
    (
        "_TestQueue",
        "test_queue_feeder_donot_stop_onexc",
        "asks that put() of what cannot be pickled succeeds and prints: here put() raises, and nothing is put",
    ),
]


def install(module, start_method):
    """Puts the tests of one start method into a module of tests."""
    theirs.multiprocessing = shmq.multiprocessing
    for name, value in vars(theirs.ProcessesMixin).items():
        if not name.startswith("_") and name != "TYPE" and hasattr(shmq.multiprocessing, name):
            ours = getattr(shmq.multiprocessing, name)
            setattr(theirs.ProcessesMixin, name, staticmethod(ours) if isinstance(value, staticmethod) else ours)
    found = {"__name__": module["__name__"]}
    theirs.install_tests_in_module_dict(found, start_method)
    for class_name in CLASSES:
        test_class = found[class_name.replace("_", "WithProcesses", 1)]
        for skipped, test, why in SKIPPED:
            if skipped == class_name and hasattr(test_class, test):
                setattr(test_class, test, unittest.skip(why)(getattr(test_class, test)))
        module[test_class.__name__] = test_class
    module["setUpModule"] = found["setUpModule"]
    module["tearDownModule"] = found["tearDownModule"]
