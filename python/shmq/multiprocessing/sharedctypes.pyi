from multiprocessing.sharedctypes import (
    Array as Array,
    RawArray as RawArray,
    RawValue as RawValue,
    Synchronized as Synchronized,
    SynchronizedArray as SynchronizedArray,
    SynchronizedBase as SynchronizedBase,
    SynchronizedString as SynchronizedString,
    Value as Value,
    copy as copy,
    synchronized as synchronized,
)

__all__ = ["RawValue", "RawArray", "Value", "Array", "copy", "synchronized"]
