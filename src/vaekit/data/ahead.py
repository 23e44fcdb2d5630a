"""Prefetching in a background thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Ready = TypeVar("Ready")


def ahead(load: Callable[[Item], Ready], items: Iterable[Item]) -> Iterator[Ready]:
    """``load(item)`` for each item in turn, the next one under way in a thread while the caller has this one.

    ``load`` must leave the global random numbers alone. Its errors reach the caller in their turn. Closing the
    generator ends the thread.

    Args:
        load: runs in the thread.
        items: taken in the caller's thread.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="vaekit-ahead")
    coming: Future[Ready] | None = None
    try:
        for item in items:
            ready, coming = coming, pool.submit(load, item)
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
