"""CPython's tests of multiprocessing under the start method fork."""

import cpython

cpython.install(globals(), "fork")
