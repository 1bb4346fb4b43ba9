"""CPython's tests of multiprocessing under the start method spawn."""

import cpython

cpython.install(globals(), "spawn")
