"""Image files that cannot be written row by row: put together, then written by Pillow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from harness.upscale.writers.layout import Layout, Rows, as_image

# Pillow holds four bytes for a pixel of colour: 512 MiB.
MOST_PIXELS = 1 << 27
LOSSY = ("JPEG", "WEBP", "AVIF")
# Longest side of the formats that a large scale meets (libjpeg, WebP container, ...).
LONGEST_SIDE = {
    "JPEG": 65500,
    "WEBP": 16383,
    "TGA": 65535,
    "PCX": 65535,
    "AVIF": 65536,
}


def objection(kind: str, size: tuple[int, int]) -> str:
    """Say why an image of (height, width) is not written as this type; empty for no reason."""
    height, width = size
    longest = LONGEST_SIDE.get(kind)
    if longest is not None and max(size) > longest:
        return f"a side of a {kind} file has at most {longest:,} pixels"
    if height * width > MOST_PIXELS:
        return (
            f"{kind} files are put together in memory, which is done up to {MOST_PIXELS:,} pixels"
        )
    return ""


def write_whole(
    path: Path, kind: str, layout: Layout, strips: Iterable[Rows], quality: int
) -> None:
    """Write an image of 8 bits by Pillow. Args, Raises: as `harness.upscale.writers.write_rows`."""
    height, width = layout.size
    image = Image.new(layout.mode, (width, height))
    top = 0
    for rows in strips:
        image.paste(as_image(rows), (0, top))
        top += len(rows)
    options = {key: value for key, value in vars(layout.metadata).items() if value}
    if kind in LOSSY:
        options["quality"] = quality
    image.save(path, format=kind, **options)
