"""LR images made by `harness data prepare`, and how they are told from a dataset's own.

They lie where a dataset's own LR images would lie, and have the same names. Two marks keep them
apart: a file `PREPARED.json` in the folder, and a text in every PNG file, which stays when the file
is copied elsewhere. Either is enough for measurements to say `matlab`, not `official`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image, PngImagePlugin
from torch import Tensor

from harness.data.images import pixel_hash, read_rgb
from harness.errors import HarnessError
from harness.files import replacing

RULE = "matlab-1"  # another number when the resize changes
MARKER = "PREPARED.json"
_KEY = "moeisr-harness"


def scale_label(scale: float) -> str:
    """The scale in names of folders and files: 2, 2.5."""
    return f"{scale:.12g}"


@dataclass(frozen=True)
class Mark:
    """What a prepared PNG file says of itself.

    Attributes:
        rule: how it was made.
        scale: see `scale_label`.
        hr: pixel hash of the cropped HR image that it was made from.
        lr: pixel hash of the LR image itself.
    """

    rule: str
    scale: str
    hr: str
    lr: str


def mark_of(lr: Tensor, cropped: Tensor, scale: float) -> Mark:
    """The mark of an LR image made here; both uint8 (3, ., .)."""
    return Mark(RULE, scale_label(scale), pixel_hash(cropped), pixel_hash(lr))


def is_prepared(folder: Path) -> bool:
    """Whether the LR images of a folder were made here."""
    return (folder / MARKER).exists()


def save_marked(image: Image.Image, path: Path, mark: Mark) -> None:
    """Write an LR image as PNG with its mark, whole or not at all.

    Raises:
        HarnessError: when the folder cannot be written.
    """
    text = PngImagePlugin.PngInfo()
    text.add_text(_KEY, json.dumps(asdict(mark), sort_keys=True))
    with replacing(path) as temporary:
        image.save(temporary, format="PNG", pnginfo=text)


def read_mark(path: Path) -> Mark | None:
    """The mark of a PNG file; None for files that were not made here, and for no images."""
    try:
        with Image.open(path) as image:
            text = image.info.get(_KEY)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    if text is None:
        return None
    try:
        return Mark(**json.loads(text))
    except (ValueError, TypeError):
        # Of another version, or damaged: not made by this rule, but made here all the same.
        return Mark("unknown", "", "", "")


def read_prepared(path: Path | None, cropped: Tensor, scale: float) -> Tensor | None:
    """A prepared LR image, as uint8 (3, h, w), if it is what would be made now.

    Args:
        path: of the file; None where there is none.
        cropped: the HR image cut to what the LR image stands for, uint8 (3, H, W).
        scale: of the two.

    Returns:
        None when it is missing, damaged, altered, or was made from other pixels or by another
        rule.
    """
    mark = None if path is None else read_mark(path)
    if path is None or mark is None:
        return None
    if (mark.rule, mark.scale, mark.hr) != (RULE, scale_label(scale), pixel_hash(cropped)):
        return None
    try:
        lr = read_rgb(path)
    except HarnessError:
        return None
    return lr if pixel_hash(lr) == mark.lr else None
