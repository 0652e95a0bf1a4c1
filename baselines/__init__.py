"""The networks the MoEISR paper starts from; imports nothing of `moeisr` or `harness`."""

from baselines.registry import HeadFamily, Method, UnknownMethodError, build, methods, parse

__all__ = ["HeadFamily", "Method", "UnknownMethodError", "build", "methods", "parse"]
