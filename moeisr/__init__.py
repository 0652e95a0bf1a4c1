"""MoEISR: mapper and experts over any implicit decoder (arXiv 2311.12077)."""

from moeisr.model import HEAD_FAMILY

__all__ = ["HEAD_FAMILY"]
