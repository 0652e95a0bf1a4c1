"""TIFF of 8 or 16 bits, strip by strip: deflated, with horizontal differencing (TIFF 6.0, 14).

Only run lengths are deflated, as in our PNG files: seven times faster than a full search. Enlarged
photographs take 1.4 times the space then, photographs themselves no more.

BigTIFF is used where the values alone could pass the 4 GiB that offsets of TIFF reach.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from harness.upscale.writers.layout import Layout, Rows, pieces

# Bytes of a strip before compression.
_STRIP = 1 << 18
# Room for tags and the table of strips.
_BIG = (1 << 32) - (1 << 25)
_LEVEL = 6
_TIFF, _BIG_TIFF = b"II\x2a\0\x08\0\0\0", b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0"
_OFFSETS, _COUNTS = 273, 279
_DEFLATE, _HORIZONTAL, _INCH, _NOT_PREMULTIPLIED = 8, 2, 2, 2


def write_tiff(file: BinaryIO, layout: Layout, strips: Iterable[Rows]) -> None:
    """Write an image from strips of rows.

    The tags are at the beginning of the file, and are written last, when the positions of the
    strips are known.

    Args: as `harness.upscale.writers.png.write_png`; the file must be seekable.
    """
    height, _ = layout.size
    per_strip = min(height, max(1, _STRIP // layout.row_bytes))
    header = _BIG_TIFF if height * layout.row_bytes > _BIG else _TIFF
    count = -(-height // per_strip)
    tags = _tags(layout, header, per_strip, count)
    start = len(header) + len(tags.tobytes(len(header)))
    file.write(bytes(start))
    sizes = []
    for rows in pieces(strips, per_strip):
        sizes.append(file.write(_deflated(rows)))
    # Pillow counts offsets from the end of the tags.
    tags[_OFFSETS], tags[_COUNTS] = (tuple(np.cumsum([0, *sizes[:-1]]).tolist()), tuple(sizes))
    file.seek(0)
    file.write(header + tags.tobytes(len(header)))


def _tags(layout: Layout, header: bytes, per_strip: int, strips: int) -> ImageFileDirectory_v2:
    """Make all tags, with room for the positions of the strips."""
    height, width = layout.size
    long = TiffTags.LONG if header == _TIFF else TiffTags.LONG8
    tags = ImageFileDirectory_v2(header)
    tags.tagtype[_OFFSETS] = tags.tagtype[_COUNTS] = long
    values = {
        **_exif_tags(layout.metadata.exif),
        256: width,
        257: height,
        258: (layout.bits,) * layout.channels,
        259: _DEFLATE,
        262: 1 if layout.channels < 3 else 2,  # grey from black, RGB
        _OFFSETS: (0,) * strips,
        277: layout.channels,
        278: per_strip,
        _COUNTS: (0,) * strips,
        317: _HORIZONTAL,
    }
    if layout.channels in (2, 4):
        values[338] = _NOT_PREMULTIPLIED
    if layout.metadata.dpi:
        values[282], values[283] = layout.metadata.dpi
        values[296] = _INCH
    if layout.metadata.icc_profile:
        values[34675] = layout.metadata.icc_profile
    for tag, value in values.items():
        tags[tag] = value
    return tags


def _exif_tags(exif: bytes | None) -> dict[int, object]:
    """Convert EXIF tags to tags of a TIFF file, which have the same form."""
    read = Image.Exif()
    read.load(exif or b"")
    folders = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
    return {tag: read.get_ifd(tag) if tag in folders else value for tag, value in read.items()}


def _deflated(rows: Rows) -> bytes:
    """Compress a strip as it is stored in the file."""
    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]
    if sys.byteorder == "big":
        differences.byteswap(inplace=True)
    deflate = zlib.compressobj(_LEVEL, strategy=zlib.Z_RLE)
    return deflate.compress(differences.data) + deflate.flush()
