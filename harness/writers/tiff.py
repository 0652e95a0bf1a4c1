"""TIFF, strip by strip: deflated, with horizontal differencing (TIFF 6.0, section 14).

Runs alone are deflated, as in our PNG files: seven times faster than a full search. Enlarged
photographs take 1.4 times the space then, photographs themselves no more.

BigTIFF where the values alone could pass the 4 GiB that offsets of TIFF reach.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from harness.writers.layout import Layout, Rows, pieces

# Bytes of a strip before compression.
_STRIP = 1 << 18
# Room for tags and the table of strips.
_BIG = (1 << 32) - (1 << 25)
_LEVEL = 6


def write_tiff(file: BinaryIO, layout: Layout, strips: Iterable[Rows]) -> None:
    """Write an image of which strips of rows come one after the other.

    Args: as `harness.writers.png.write_png`.
    """
    from tifffile import TiffWriter

    height, width = layout.size
    grey, transparent = layout.channels < 3, layout.channels in (2, 4)
    per_strip = min(height, max(1, _STRIP // layout.row_bytes))
    with TiffWriter(file, bigtiff=height * layout.row_bytes > _BIG) as writer:
        writer.write(
            _deflated(pieces(strips, per_strip)),
            shape=(height, width) if layout.channels == 1 else (*layout.size, layout.channels),
            dtype=np.uint8,
            photometric="minisblack" if grey else "rgb",
            planarconfig="contig" if layout.channels > 1 else None,
            extrasamples=["unassalpha"] if transparent else None,
            rowsperstrip=per_strip,
            compression="adobe_deflate",
            predictor="horizontal",
            iccprofile=layout.icc_profile,
            metadata=None,
            software=False,
        )


def _deflated(strips: Iterator[Rows]) -> Iterator[bytes]:
    """Strips as they stand in the file."""
    for rows in strips:
        differences = rows.copy()
        differences[:, 1:] -= rows[:, :-1]
        deflate = zlib.compressobj(_LEVEL, strategy=zlib.Z_RLE)
        yield deflate.compress(differences.data) + deflate.flush()
