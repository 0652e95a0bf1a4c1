"""Networks that the MoEISR paper builds on; imports nothing of `moeisr` or `harness`."""

from baselines.registry import HeadFamily, Method, UnknownMethodError, build, methods, parse

__all__ = ["HeadFamily", "Method", "UnknownMethodError", "build", "methods", "parse"]
