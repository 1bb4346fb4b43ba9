"""The standard module multiprocessing.popen_forkserver."""

from ._submodules import stand_in

stand_in(__name__)
