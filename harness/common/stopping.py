"""Ctrl-C and SIGTERM: long work ends between two steps, and files are complete or absent."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType


class Stop:
    """Request to stop, as seen by the work."""

    requested = False

    def check(self) -> None:
        """Raise KeyboardInterrupt where it was requested."""
        if self.requested:
            raise KeyboardInterrupt


_STOP: ContextVar[Stop | None] = ContextVar("stop", default=None)
"""Request of the running block of `stoppable`."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Make SIGTERM interrupt the block as Ctrl-C does, so that it can clean up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Turn the first Ctrl-C or SIGTERM into a request; the second one interrupts at once.

    The block is expected to save its work and raise KeyboardInterrupt when it sees the request. A
    block inside such a block sees the same request.
    """
    outer = _STOP.get()
    if outer is not None or threading.current_thread() is not threading.main_thread():
        yield outer or Stop()
        return
    stop = Stop()

    def request(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    previous = {s: signal.signal(s, request) for s in (signal.SIGINT, signal.SIGTERM)}
    token = _STOP.set(stop)
    try:
        yield stop
    finally:
        _STOP.reset(token)
        for number, handler in previous.items():
            signal.signal(number, handler)
