"""Regions of images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A region of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int
