"""The standard module multiprocessing.dummy."""

from ._submodules import stand_in

stand_in(__name__)
