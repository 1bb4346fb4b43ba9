"""Submodules of multiprocessing that are not this package's own are the standard ones: importing
shmq.multiprocessing.connection gives multiprocessing.connection.
"""

import sys

__all__ = ["install"]


class _Alias:
    """Finds the submodules that this package has no file for."""

    def __init__(self, package):
        self._prefix = f"{package}."

    def _theirs(self, name):
        return f"multiprocessing.{name.removeprefix(self._prefix)}"

    def find_spec(self, name, path=None, target=None):
        if not name.startswith(self._prefix):
            return None
        import importlib.util
        from importlib.machinery import ModuleSpec

        try:
            is_there = importlib.util.find_spec(self._theirs(name)) is not None
        except ModuleNotFoundError:
            return None
        return ModuleSpec(name, self) if is_there else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        # The import system returns what is in sys.modules afterwards.
        import importlib

        name = module.__spec__.name
        sys.modules[name] = importlib.import_module(self._theirs(name))


def install(package):
    # Last: a file of this package comes first.
    sys.meta_path.append(_Alias(package))
