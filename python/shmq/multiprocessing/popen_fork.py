"""The standard module multiprocessing.popen_fork."""

from ._submodules import stand_in

stand_in(__name__)
