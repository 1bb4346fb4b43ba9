"""Events, by the module logging: what was noticed of processes that died, and what was done about it.

The logger is "shmq". The module is imported at the first event: nothing is logged where all goes well.
"""

__all__ = ["INFO", "WARNING", "log"]

INFO = 20
WARNING = 30


def log(level, text, *arguments):
    """Logs an event. Its text is formatted if a handler wants it."""
    import logging

    logging.getLogger("shmq").log(level, text, *arguments)
