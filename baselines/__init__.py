"""The networks the MoEISR paper starts from; imports nothing of `moeisr` or `harness`."""

from baselines.registry import HeadFamily, MethodName, UnknownMethodError, build, methods, parse

__all__ = ["HeadFamily", "MethodName", "UnknownMethodError", "build", "methods", "parse"]
