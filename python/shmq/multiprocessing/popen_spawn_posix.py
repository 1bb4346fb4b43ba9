"""The standard module multiprocessing.popen_spawn_posix."""

from ._submodules import stand_in

stand_in(__name__)
