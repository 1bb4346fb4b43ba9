"""The standard module multiprocessing.reduction."""

from ._submodules import stand_in

stand_in(__name__)
