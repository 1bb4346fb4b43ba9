from typing import TypeVar

from ._shmq import Subscriber

_T = TypeVar("_T")

async def get_async(subscriber: Subscriber[_T]) -> _T: ...
async def next_async(subscriber: Subscriber[_T]) -> _T: ...
