"""The standard module multiprocessing.spawn."""

from ._submodules import stand_in

stand_in(__name__)
