"""Events, by the module logging: what was noticed of processes that died, and what was done about it.

The logger is "shmq". A program that has not imported logging has nowhere to log to: the module is not
imported for it.
"""

import sys

__all__ = ["INFO", "WARNING", "log"]

INFO = 20
WARNING = 30


def log(level, text, *arguments):
    """Logs an event. Its text is formatted if a handler wants it."""
    if "logging" not in sys.modules:
        return
    import logging

    logger = logging.getLogger("shmq")
    if not logger.handlers:
        # A program that has no handlers wants nothing on its stderr.
        logger.addHandler(logging.NullHandler())
    logger.log(level, text, *arguments)
