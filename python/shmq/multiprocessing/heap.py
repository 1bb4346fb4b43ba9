"""The standard module multiprocessing.heap."""

from ._submodules import stand_in

stand_in(__name__)
