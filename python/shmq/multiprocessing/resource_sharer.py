"""The standard module multiprocessing.resource_sharer."""

from ._submodules import stand_in

stand_in(__name__)
