"""What help() says: of each public callable what a person needs, in examples that run."""

import doctest
import inspect

import pytest

import shmq
import shmq.multiprocessing.pool
import shmq.multiprocessing.queues
import shmq.multiprocessing.synchronize

MODULES = (shmq, shmq.multiprocessing.queues, shmq.multiprocessing.synchronize, shmq.multiprocessing.pool)


def documented():
    """Names and objects: public classes of the package, and the methods and properties that they have."""
    classes = {}
    for module in MODULES:
        for name in (*module.__all__, "Barrier"):
            value = getattr(module, name, None)
            if isinstance(value, type) and value.__module__.startswith("shmq"):
                classes.setdefault(value, f"{module.__name__}.{name}")
    for class_, path in classes.items():
        yield path, class_
        if issubclass(class_, BaseException):
            continue
        for name in dir(class_):
            member = inspect.getattr_static(class_, name)
            owner = next(base for base in class_.__mro__ if name in vars(base))
            if not name.startswith("_") and owner.__module__.startswith("shmq"):
                yield f"{path}.{name}", getattr(class_, name) if isinstance(member, (staticmethod, classmethod)) else member


DOCUMENTED = dict(documented())


def test_what_is_public_is_found():
    assert {"shmq.Queue.get", "shmq.BytesQueue.loan", "shmq.Topic.publish", "shmq.Lease.deliveries"} <= set(DOCUMENTED)
    assert len(DOCUMENTED) > 100


@pytest.mark.parametrize("path", DOCUMENTED)
def test_help_says_something(path):
    text = inspect.getdoc(DOCUMENTED[path]) or ""
    assert len(text.split()) >= (8 if callable(DOCUMENTED[path]) else 2), text
    # The signature is no part of it: help() shows that by itself.
    assert not text.startswith(path.rpartition(".")[2] + "("), text


# Instances come from verbs.
NOT_MADE_BY_CALLERS = {"Lease", "Subscriber", "Array", "ArrayLoan", "ArrayLease"}


def signature(path):
    member = DOCUMENTED[path]
    if isinstance(member, type) and (issubclass(member, BaseException) or member.__name__ in NOT_MADE_BY_CALLERS):
        return None
    return inspect.signature(member) if callable(member) and not isinstance(member, property) else None


@pytest.mark.parametrize("path", DOCUMENTED)
def test_signatures_are_those_that_a_caller_uses(path):
    found = signature(path)
    if found is None:
        return
    for parameter in found.parameters.values():
        assert not parameter.name.startswith("_"), found
        assert parameter.default is not ..., found


WAITS = [path for path in DOCUMENTED if (found := signature(path)) and "timeout" in found.parameters]


@pytest.mark.parametrize("path", WAITS)
def test_what_waits_says_for_how_long_and_what_then(path):
    text = inspect.getdoc(DOCUMENTED[path])
    assert "timeout" in text and "seconds" in text
    assert any(word in text for word in ("Empty", "Full", "False", "Error", "Raises", "raises"))


def test_waiting_verbs_are_found():
    assert {"shmq.Queue.get", "shmq.Queue.put", "shmq.BytesQueue.lease", "shmq.Topic.publish"} <= set(WAITS)


def test_help_of_get_says_all():
    text = shmq.Queue.get.__doc__
    for word in ("timeout", "seconds", "queue.Empty", "block", "ShutDown", "At most once", "lease()", "killed", ">>>"):
        assert word in text
    assert str(inspect.signature(shmq.Queue.get)) == "(self, /, block=True, timeout=None)"


def has_examples(path):
    return ">>>" in (inspect.getdoc(DOCUMENTED[path]) or "")


@pytest.mark.parametrize("path", [path for path in DOCUMENTED if has_examples(path)])
def test_examples_run(path):
    import shmq.multiprocessing as multiprocessing

    options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    test = doctest.DocTestParser().get_doctest(
        inspect.getdoc(DOCUMENTED[path]), {"shmq": shmq, "multiprocessing": multiprocessing}, path, None, 0
    )
    said = []
    failed, ran = doctest.DocTestRunner(optionflags=options, verbose=False).run(test, out=said.append)
    assert ran and not failed, "".join(said)


OF_THE_PACKAGE = ("shmq.Queue.", "shmq.BytesQueue.", "shmq.StructQueue.", "shmq.JoinableQueue.")


@pytest.mark.parametrize("path", [path for path in DOCUMENTED if path.startswith(OF_THE_PACKAGE) and signature(path)])
def test_verbs_of_queues_have_examples(path):
    assert has_examples(path)
