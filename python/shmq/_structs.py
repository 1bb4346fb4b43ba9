"""StructQueue: plain structs, the same in Rust and in numpy, by their structural schema.

    #[shmq::message] struct Tick { price: f64, sizes: [u32; 2] }
    {price@0: f64, sizes@8: [u32; 2]}
    numpy.dtype([("price", "<f8"), ("sizes", "<u4", (2,))])
"""

from ._shmq import BytesQueue

__all__ = ["StructQueue", "dtype_of", "structure_of"]

_SCALARS = {
    "bool": "b1",
    **{f"{kind}{bits}": f"{code}{bits // 8}" for kind, code in (("u", "u"), ("i", "i")) for bits in (8, 16, 32, 64)},
    "f32": "f4",
    "f64": "f8",
}
_NAMES = {code: name for name, code in _SCALARS.items()}


def structure_of(dtype):
    """The structural schema of a numpy dtype. ValueError for what a struct of Rust cannot be."""
    if dtype.subdtype is not None:
        element, shape = dtype.subdtype
        text = structure_of(element)
        for count in reversed(shape):
            text = f"[{text}; {count}]"
        return text
    if dtype.names is not None:
        end, fields = 0, []
        for name in sorted(dtype.names, key=lambda name: dtype.fields[name][1]):
            field, offset = dtype.fields[name][:2]
            if offset != end:
                raise ValueError(f"{offset - end} bytes of padding before {name!r}: others would see what no field has written")
            end = offset + field.itemsize
            fields.append(f"{name}@{offset}: {structure_of(field)}")
        if end != dtype.itemsize:
            raise ValueError(f"{dtype.itemsize - end} bytes of padding at the end")
        return "{" + ", ".join(fields) + "}"
    name = _NAMES.get(dtype.str.lstrip("<>|="))
    if name is None:
        raise ValueError(f"{dtype} is no type of a struct's field")
    return name + "be" if dtype.str.startswith(">") else name


def _align_of(dtype):
    """The alignment that Rust gives the struct."""
    if dtype.subdtype is not None:
        return _align_of(dtype.subdtype[0])
    if dtype.names is not None:
        return max((_align_of(dtype.fields[name][0]) for name in dtype.names), default=1)
    return dtype.itemsize


def _check_alignment(dtype):
    """ValueError for fields that are not where Rust has them."""
    align = _align_of(dtype)
    for name in dtype.names or ():
        field, offset = dtype.fields[name][:2]
        field_align = _align_of(field)
        if offset % field_align != 0:
            raise ValueError(f"{name!r} is at byte {offset}, and in Rust at a multiple of {field_align}: {_REORDER}")
        _check_alignment(field.base)
    if dtype.itemsize % align != 0:
        raise ValueError(f"it has {dtype.itemsize} bytes, and in Rust a multiple of {align}: {_REORDER}")


_REORDER = "put larger fields first, or add fields for the bytes in between"


class _Parser:
    def __init__(self, text):
        import re

        self._tokens = re.findall(r"[{}\[\];:,@=]|[^\s{}\[\];:,@=]+", text)

    def _take(self, expected=None):
        token = self._tokens.pop(0)
        if expected is not None and token != expected:
            raise ValueError(f"{token!r} where {expected!r} was expected")
        return token

    def type(self):
        """What numpy.dtype takes."""
        token = self._take()
        if token == "[":
            element = self.type()
            self._take(";")
            count = int(self._take())
            self._take("]")
            return (element, (count,)) if not isinstance(element, tuple) else (element[0], (count, *element[1]))
        if token == "{":
            return self._struct()
        if token == "enum":
            return self._enum()
        order = ">" if token.endswith("be") else "<"
        code = _SCALARS.get(token.removesuffix("be"))
        if code is None:
            raise ValueError(f"numpy has no {token}")
        return order + code

    def _struct(self):
        fields = {"names": [], "offsets": [], "formats": []}
        while self._tokens[0] != "}":
            fields["names"].append(self._take())
            self._take("@")
            fields["offsets"].append(int(self._take()))
            self._take(":")
            fields["formats"].append(self.type())
            if self._tokens[0] == ",":
                self._take()
        self._take("}")
        return fields

    def _enum(self):
        """Its number; variants with fields have no dtype."""
        number = self.type()
        self._take("{")
        while (token := self._take()) != "}":
            if token == "{":
                raise ValueError("numpy has no enum with fields in its variants")
        return number


def dtype_of(structure):
    """The numpy dtype of a structural schema."""
    import numpy

    return numpy.dtype(_Parser(structure).type())


class StructQueue(BytesQueue):
    """A queue of plain structs: of numpy records, which a Rust program has as #[shmq::message] structs.

    Opens the queue of that name, or creates it; ValueError names both schemas if they differ.
    StructQueue.open(name) needs no dtype: it has that of the segment.
    """

    def __init__(self, name=None, *, dtype, maxsize=1000, persist=None):
        import numpy

        dtype = numpy.dtype(dtype)
        structure = (dtype.itemsize, _align_of(dtype), structure_of(dtype))
        _check_alignment(dtype)
        super().__init__(maxsize, name=name, persist=persist, _structure=structure)

    @classmethod
    def open(cls, name, timeout=0.0):
        """The queue of that name, which another process created, in Python or in Rust, with its dtype.

        timeout: how long to wait until it is created, in seconds; None waits for ever. Raises as
        Queue.open, and ValueError if its messages are no structs, or have fields that numpy lacks.

            >>> q = shmq.StructQueue("help-struct", dtype=[("price", "<f8")])
            >>> shmq.StructQueue.open("help-struct").dtype.names
            ('price',)
        """
        queue = cls._open_values(name, timeout)
        queue.dtype  # noqa: B018 - an error of the schema belongs here
        return queue

    @property
    def dtype(self):
        """The dtype of its records, as the segment says it."""
        if not hasattr(self, "_dtype"):
            structure = self._structure
            if structure is None or structure[2] is None:
                raise ValueError(f"the messages of {self.name!r} are no structs")
            dtype = dtype_of(structure[2])
            if dtype.itemsize != structure[0]:
                raise ValueError(f"{structure[2]} has {dtype.itemsize} bytes, the messages {structure[0]}")
            self._dtype = dtype
        return self._dtype

    def put(self, value, block=True, timeout=None):
        """Puts a record: one of numpy's, or a tuple of its fields.

        block: False makes it one try. timeout: how long to wait for room, in seconds; None waits for
        ever. Raises queue.Full, ShutDown, or what numpy raises of another shape.

            >>> q = shmq.StructQueue(dtype=[("price", "<f8"), ("volume", "<u8")])
            >>> q.put((99.5, 7))
        """
        import numpy

        super().put(numpy.array(value, self.dtype).reshape(()).tobytes(), block, timeout)

    def put_nowait(self, value):
        """put(value, block=False): queue.Full at once if there is no room.

            >>> shmq.StructQueue(dtype=[("price", "<f8")]).put_nowait((99.5,))
        """
        self.put(value, False)

    def get(self, block=True, timeout=None):
        """Takes the next record, a numpy.void: record["price"].

        block: False makes it one try. timeout: how long to wait for a record, in seconds; None waits
        for ever. Raises queue.Empty, ShutDown. At most once, as Queue.get.

            >>> q = shmq.StructQueue(dtype=[("price", "<f8")])
            >>> q.put((99.5,)); float(q.get(timeout=5)["price"])
            99.5
        """
        import numpy

        return numpy.frombuffer(super().get(block, timeout), self.dtype)[0]

    def get_nowait(self):
        """get(block=False): queue.Empty at once if there is no record.

            >>> shmq.StructQueue(dtype=[("price", "<f8")]).get_nowait()
            Traceback (most recent call last):
            _queue.Empty
        """
        return self.get(False)
