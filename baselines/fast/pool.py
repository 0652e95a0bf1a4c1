"""Independent pieces of work, one CPU thread each.

PyTorch splits every operation over its threads, and all wait for each other after each. Pieces
that do not depend on each other are quicker side by side: a thread works through a piece alone,
in its own cache.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")


class Pool:
    """Threads that take pieces of work; a single one is the calling thread."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._executor = None
        if threads > 1:
            self._executor = _single_threaded(threads)

    def run(self, work: Callable[[T], object], pieces: Sequence[T]) -> None:
        """Do all pieces, in any order, without gradients; an error is raised when all are done."""
        if self._executor is None or len(pieces) < 2:
            for piece in pieces:
                work(piece)
            return
        left = iter(pieces)

        @torch.inference_mode()
        def take() -> None:
            # One future a thread, not one a piece: threads wait for the interpreter's lock between
            # pieces, which costs 4 % of a decode. `next` of an iterator is one step under it.
            for piece in left:
                work(piece)

        futures = [self._executor.submit(take) for _ in range(self.threads)]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:  # after an error or a stop nobody needs the pieces that are left
            for _ in left:
                pass
            wait(futures)
        for future in futures:
            future.result()


def _single_threaded(threads: int) -> ThreadPoolExecutor:
    """Threads whose own operations have one thread each."""
    # That is a setting of the calling thread, and of all that start later: so all start here, and
    # then the latter is set back.
    before = torch.get_num_threads()
    executor = ThreadPoolExecutor(
        threads, "pieces", initializer=torch.set_num_threads, initargs=(1,)
    )
    all_there = threading.Barrier(threads)
    wait([executor.submit(all_there.wait) for _ in range(threads)])
    torch.set_num_threads(before)
    return executor


def pool_for(device: torch.device) -> Pool:
    """The threads that PyTorch has for this device.

    Those of a CPU are kept; another process, forked from this one, has its own.
    """
    if device.type != "cpu":
        return Pool(1)
    return _cpu_pool(torch.get_num_threads(), os.getpid())


@cache
def _cpu_pool(threads: int, process: int) -> Pool:
    del process
    return Pool(threads)
