"""The standard module multiprocessing.forkserver."""

from ._submodules import stand_in

stand_in(__name__)
