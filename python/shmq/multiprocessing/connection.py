"""The standard module multiprocessing.connection."""

from ._submodules import stand_in

stand_in(__name__)
