"""The standard module multiprocessing.process."""

from ._submodules import stand_in

stand_in(__name__)
