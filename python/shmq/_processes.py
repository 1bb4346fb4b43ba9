"""Children of multiprocessing end by os._exit, which runs nothing that `exit` runs: they give the
names of what they have open back by a finalizer.

The module multiprocessing is not imported here: where a program forks without it, there is nothing
to do.
"""

import os
import sys

from . import _shmq

__all__ = ["install"]

# Behind all other finalizers: they may use queues.
_LAST = -(10**9)


class _Hook:
    """What multiprocessing keeps weakly, to call in each child that it forks."""


_hook = _Hook()
_is_registered = False


def _leave():
    import threading

    # multiprocessing waits for these next, and they may use queues.
    main, current = threading.main_thread(), threading.current_thread()
    for thread in threading.enumerate():
        if not thread.daemon and thread not in (main, current):
            thread.join()
    _shmq.leave()


def _in_child(_hook):
    from multiprocessing.util import Finalize

    Finalize(None, _leave, exitpriority=_LAST)


def _register():
    global _is_registered
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _is_registered:
        _is_registered = True
        util.register_after_fork(_hook, _in_child)


def install():
    """Called once, when the package is imported."""
    os.register_at_fork(before=_register)
    # In a child of the fork server, whose hooks have not run yet.
    _register()
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        # In a child whose hooks have run.
        _in_child(_hook)
