"""What a dtype is in a buffer: a format of PEP 3118 and the bytes of an element.

numpy is imported only for what no string of one number says.
"""

import re
import struct
import sys

_NAMES = {
    "bool": "?",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "l",
    "uint64": "L",
    "float16": "e",
    "float32": "f",
    "float64": "d",
    "complex64": "Zf",
    "complex128": "Zd",
}
_KINDS = {
    "b1": "?",
    **{f"{kind}{bits // 8}": _NAMES[f"{name}{bits}"] for kind, name in (("i", "int"), ("u", "uint")) for bits in (8, 16, 32, 64)},
    **{f"f{bits // 8}": _NAMES[f"float{bits}"] for bits in (16, 32, 64)},
    "c8": "Zf",
    "c16": "Zd",
}
_TYPES = {bool: "?", int: "l", float: "d", complex: "Zd"}
_ORDERED = re.compile(r"([<>=|@!]?)(.+)")
_NATIVE = "<" if sys.byteorder == "little" else ">"
_found = {}


def element_of(dtype):
    """Format and size of a dtype: numpy's, its strings, or a struct format of one number. TypeError."""
    try:
        return _found[dtype]
    except (KeyError, TypeError):
        found = _of_string(dtype) if isinstance(dtype, str) else _of_format(_TYPES.get(dtype)) if isinstance(dtype, type) else None
        found = found or _of_numpy(dtype)
    try:
        _found[dtype] = found
    except TypeError:
        pass  # A list of fields, say: it cannot be found again.
    return found


_exact = {}


def exact_element_of(dtype):
    """The same of a numpy dtype; None where an array of a buffer would not have the same dtype."""
    try:
        return _exact[dtype]
    except KeyError:
        try:
            found = _of_numpy(dtype) if dtype.metadata is None and dtype.name != "bfloat16" else None
        except TypeError:
            found = None
        _exact[dtype] = found
        return found


def _of_format(text):
    if text is None:
        return None
    return text, 8 if text == "Zf" else 16 if text == "Zd" else struct.calcsize(text)


def _of_string(text):
    if text == "bfloat16":
        return text, 2
    if text in _NAMES:
        return _of_format(_NAMES[text])
    order, kind = _ORDERED.fullmatch(text).groups()
    if kind in _KINDS:
        letter = _KINDS[kind]
    elif len(kind) == 1 and kind in "?bBhHiIlLqQefd":
        # Standard sizes differ from native ones in these.
        letter = {"l": "i", "L": "I"}.get(kind, kind) if order in tuple("<>=!") else kind
    elif kind in ("Zf", "Zd"):
        letter = kind
    else:
        return None
    if order in ("", "=", "|", "@", _NATIVE):
        return _of_format(letter)
    size = _of_format(letter)[1]
    return ">" + {"l": "q", "L": "Q"}.get(letter, letter), size


def _of_numpy(dtype):
    if dtype is None:  # numpy's default, which is nobody's intention here.
        raise TypeError("an array needs a dtype")
    import numpy

    dtype = numpy.dtype(dtype)
    if dtype.name == "bfloat16":
        return "bfloat16", 2
    if dtype.hasobject or dtype.subdtype is not None or dtype.itemsize == 0:
        raise TypeError(f"no array in shared memory has the dtype {dtype}")
    try:
        view = memoryview(numpy.empty(0, dtype))
        if numpy.asarray(view).dtype != dtype:
            raise ValueError
    except ValueError:
        raise TypeError(f"the buffer protocol has no elements of the dtype {dtype}") from None
    return view.format, view.itemsize
