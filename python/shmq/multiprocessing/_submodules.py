"""Submodules of multiprocessing that are not this package's own are the standard ones."""

import importlib
import sys

__all__ = ["stand_in"]


def stand_in(name):
    """Called by a module of this package: importing it gives the standard module of that name.

    The import system returns what is in sys.modules afterwards.
    """
    sys.modules[name] = importlib.import_module(name.removeprefix("shmq."))
