from multiprocessing.heap import (
    Arena as Arena,
    BufferWrapper as BufferWrapper,
    Heap as Heap,
    rebuild_arena as rebuild_arena,
    reduce_arena as reduce_arena,
)

__all__ = ["BufferWrapper"]
