"""The standard module multiprocessing.util."""

from ._submodules import stand_in

stand_in(__name__)
