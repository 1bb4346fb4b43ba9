"""Shared objects of ctypes: the standard ones, around this package's RLock."""

import multiprocessing.sharedctypes as _theirs
from multiprocessing.sharedctypes import RawArray, RawValue, copy

from .context import _default_context

__all__ = ["RawValue", "RawArray", "Value", "Array", "copy", "synchronized"]


def Value(typecode_or_type, *args, lock=True, ctx=None):
    """Returns a synchronization wrapper for a Value"""
    return _theirs.Value(typecode_or_type, *args, lock=lock, ctx=ctx or _default_context.get_context())


def Array(typecode_or_type, size_or_initializer, *, lock=True, ctx=None):
    """Returns a synchronization wrapper for a RawArray"""
    return _theirs.Array(typecode_or_type, size_or_initializer, lock=lock, ctx=ctx or _default_context.get_context())


def synchronized(obj, lock=None, ctx=None):
    """Returns a wrapper of obj with a lock"""
    return _theirs.synchronized(obj, lock, ctx or _default_context.get_context())


def __getattr__(name):
    return getattr(_theirs, name)
