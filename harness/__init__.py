"""Benchmarking and reproduction harness for arbitrary-scale super-resolution."""

from importlib.metadata import version

__version__ = version("moeisr-harness")

DEFAULT_PROFILE = "reference"
"""Profile of commands that name none."""
