"""LR images: the official ones, MATLAB's bicubic at x2 to x4, Pillow's bicubic above.

The LIIF code's configurations read ready-made LR images at x2, x3, x4 and make the others with
Pillow. Where a ready-made folder is missing, LR images are made by the MATLAB-compatible resize
(bit for bit the same on Set5), under a separate name. Folders that `harness data prepare` filled
hold the same LR images; they save the resize and are never taken for ready-made ones. A file
`PREPARED.json` in the folder says so, and a text in each PNG file, which stays when the file is
copied elsewhere. Either is enough for measurements to say `matlab`, not `official`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache as memoised
from pathlib import Path

import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from baselines.resize import imresize
from harness.common.errors import HarnessError
from harness.common.files import replacing
from harness.common.progress import say
from harness.data.images import opened, pixel_hash, read_rgb, to_image, to_tensor
from harness.data.sets import ImageItem
from harness.data.sets.base import scale_label

OFFICIAL, MATLAB, PIL = "official", "matlab", "pil"
PAIRED_SCALES = (2, 3, 4)
RULE = "matlab-1"  # another number when the MATLAB-compatible resize changes
_KEY = "moeisr-harness"


class TooSmallError(ValueError):
    """Error for an image that has no LR pixel at this scale."""


def pil_resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a uint8 (3, H, W) tensor to (height, width) by Pillow's antialiased bicubic."""
    return to_tensor(to_image(image).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def lr_size(hr_size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Compute (h, w) of the LR image of an HR image; 0 where the scale leaves no pixel."""
    return math.floor(hr_size[0] / scale + 1e-9), math.floor(hr_size[1] / scale + 1e-9)


def pil_bicubic(hr: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Make an LR image by Pillow, and cut the part of the HR image that belongs to it.

    LR side = floor(HR side / scale + 1e-9); HR, uint8 (3, H, W), is cut from the top left to
    round(LR side * scale) (LIIF, datasets/wrappers.py, evaluation form).

    Returns:
        (lr, hr_cropped), both uint8.

    Raises:
        TooSmallError: no LR pixel is left.
    """
    h, w = lr_size((hr.shape[-2], hr.shape[-1]), scale)
    if min(h, w) < 1:
        raise TooSmallError(f"{hr.shape[-2]}x{hr.shape[-1]} has no LR pixel at x{scale:g}")
    cropped = hr[:, : round(h * scale), : round(w * scale)].contiguous()
    return pil_resize(cropped, (h, w)), cropped


def matlab_imresize(image: Tensor, scale: float) -> Tensor:
    """Resize a uint8 (3, H, W) tensor as MATLAB's `imresize(image, scale, 'bicubic')`.

    The output side is ceil(side * scale), as in MATLAB; float noise of the product is ignored.
    """
    h, w = (math.ceil(side * scale - 1e-9) for side in image.shape[-2:])
    return imresize(image, (h, w), (scale, scale))


def mod_crop(hr: Tensor, scale: float) -> Tensor:
    """Cut an HR image (3, H, W) from the top left to a multiple of the scale.

    A side is floor(LR side * scale), of `lr_size`; at a whole scale the usual cut.
    """
    size = lr_size((hr.shape[-2], hr.shape[-1]), scale)
    h, w = (math.floor(side * scale + 1e-9) for side in size)
    return hr[:, :h, :w].contiguous()


@dataclass(frozen=True)
class LrRule:
    """Rule of a protocol: how HR is cut, and LR made.

    Attributes:
        multiple: number that HR's sides are cut to a multiple of before all else.
        matlab: whether LR is made by the MATLAB-compatible resize at every scale, which then has
            to be whole. Otherwise the official LR images are used at x2 to x4, and Pillow above.
    """

    multiple: int = 1
    matlab: bool = False


PAIRED = LrRule()
"""Rule of the LIIF code's test configurations."""


@dataclass(frozen=True)
class Pair:
    """LR image and the part of the HR image that belongs to it, both uint8 (3, ., .)."""

    lr: Tensor
    hr: Tensor
    source: str


def make_pair(
    item: ImageItem, hr: Tensor, scale: float, cache: Path | None, rule: LrRule = PAIRED
) -> Pair:
    """Make LR and HR of an image.

    Args:
        item: the image, which knows the place of its official LR image.
        hr: pixels of the image, uint8 (3, H, W).
        scale: any real number, at least 1.
        cache: folder that keeps LR images made by the MATLAB-compatible resize.
        rule: how HR is cut and LR is made.

    Raises:
        TooSmallError: no LR pixel is left.
        ValueError: the rule needs a whole scale.
        HarnessError: an official LR image is missing or has the wrong size.
    """
    if rule.multiple > 1:
        hr = mod_crop(hr, rule.multiple)
    if scale not in PAIRED_SCALES and not rule.matlab:
        lr, cropped = pil_bicubic(hr, scale)
        return Pair(lr, cropped, PIL)
    s = int(scale)
    if s != scale:
        raise ValueError(f"LR images of x{scale:g} are not made by this rule")
    if min(hr.shape[-2:]) < s:
        raise TooSmallError(f"{hr.shape[-2]}x{hr.shape[-1]} has no LR pixel at x{s}")
    if rule.matlab:
        cropped = mod_crop(hr, s)
        return Pair(_cached_matlab(cropped, s, cache), cropped, MATLAB)
    official = item.official_lr(s)
    if official is not None:
        return _official_pair(item, hr, s, official)
    cropped = mod_crop(hr, s)
    prepared = read_prepared(item.lr(s), cropped, s)
    lr = _cached_matlab(cropped, s, cache) if prepared is None else prepared
    return Pair(lr, cropped, MATLAB)


def _official_pair(item: ImageItem, hr: Tensor, scale: int, path: Path) -> Pair:
    """Pair the official LR image with HR cut to LR size times scale (LIIF's sr-implicit-paired)."""
    if not path.is_file():
        raise HarnessError(
            f"{path} is missing, though its folder has other LR images.",
            "Complete the folder, or remove it to have the LR images made by the "
            "MATLAB-compatible resize.",
        )
    lr = read_rgb(path)
    h, w = lr.shape[-2:]
    if (h, w) != (hr.shape[-2] // scale, hr.shape[-1] // scale):
        raise HarnessError(
            f"{path} is {w}x{h}, which does not fit {item.name} "
            f"({hr.shape[-1]}x{hr.shape[-2]}) at x{scale}.",
            "The LR and HR folders belong to different versions of the set; fetch both again.",
        )
    # A file that was made here and then copied elsewhere is still not the dataset's own.
    source = OFFICIAL if read_mark(path) is None else MATLAB
    return Pair(lr, hr[:, : h * scale, : w * scale].contiguous(), source)


def _cached_matlab(cropped: Tensor, scale: int, cache: Path | None) -> Tensor:
    """Make or read a MATLAB-compatible LR image, kept by the HR pixels' hash, with its own hash."""
    path = None if cache is None else cache / f"{pixel_hash(cropped)[:24]}x{scale}.png"
    kept = read_prepared(path, cropped, scale)
    if kept is not None:
        return kept
    lr = matlab_imresize(cropped, 1 / scale)
    if path is not None:
        if path.exists() and not _shows(path, lr):
            say(f"The kept LR image {path} is damaged; it is made anew.")
        try:
            save_prepared(path, lr, cropped, scale)
        except HarnessError as error:
            _warn_once(f"LR images are made, but not kept. {error}")
    return lr


def _shows(path: Path, lr: Tensor) -> bool:
    """Tell whether a file has these pixels, as files do that were kept without a mark."""
    try:
        return torch.equal(read_rgb(path), lr)
    except HarnessError:
        return False


@memoised
def _warn_once(text: str) -> None:
    say(text)


def _mark(lr: Tensor, cropped: Tensor, scale: float) -> str:
    """Make the text in a PNG file of an LR image made here, with hashes of LR and HR pixels."""
    hashes = {"hr": pixel_hash(cropped), "lr": pixel_hash(lr)}
    return json.dumps({**hashes, "rule": RULE, "scale": scale_label(scale)})


def save_prepared(
    path: Path, lr: Tensor, cropped: Tensor, scale: float, grey: bool = False
) -> None:
    """Write an LR image as a PNG file that says how it was made; all or nothing.

    LR is uint8 (3, h, w), and `cropped` (3, H, W) the part of HR that belongs to it; `grey` writes
    one channel.
    """
    text = PngImagePlugin.PngInfo()
    text.add_text(_KEY, _mark(lr, cropped, scale))
    with replacing(path) as temporary:
        to_image(lr[:1] if grey else lr).save(temporary, format="PNG", pnginfo=text)


def read_mark(path: Path) -> str | None:
    """Read what `save_prepared` wrote about an LR image; None for all other files."""
    try:
        with opened(path) as image:
            mark: str | None = image.info.get(_KEY)
            return mark
    except HarnessError:
        return None


def read_prepared(path: Path | None, cropped: Tensor, scale: float) -> Tensor | None:
    """Read the LR image of `save_prepared`, uint8 (3, h, w), if it would be the same today.

    Returns None when the file is missing, damaged, altered, or was made from other pixels or by
    another rule.
    """
    mark = read_mark(path) if path else None
    if path is None or mark is None:
        return None
    try:
        lr = read_rgb(path)
    except HarnessError:
        return None
    return lr if mark == _mark(lr, cropped, scale) else None


def unit(image: Tensor) -> Tensor:
    """Convert 8-bit values, or uint16, to float32 in [0, 1]."""
    return image.float() / (65535 if image.dtype == torch.uint16 else 255)


def quantise(image: Tensor, dtype: torch.dtype = torch.uint8) -> Tensor:
    """Convert floats in [0, 1] to uint8 (or uint16), rounded; values outside are clamped."""
    return (image.clamp(0, 1) * torch.iinfo(dtype).max).round().to(dtype)
