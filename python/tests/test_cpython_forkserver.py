"""CPython's tests of multiprocessing under the start method forkserver."""

import cpython

cpython.install(globals(), "forkserver")
