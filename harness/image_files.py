"""Enlarging image files: grey images, transparency and file types around the networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageOps

from baselines.bicubic import imresize
from harness.data.degrade import quantise, unit
from harness.data.images import open_image, to_image, to_tensor
from harness.errors import HarnessError
from harness.files import replacing
from harness.profiles import Evaluation
from harness.progress import bar
from harness.subject import Subject
from harness.upscaling import stream

_WITH_ALPHA = {"PNG", "WEBP", "TIFF", "TGA", "JPEG2000"}


@dataclass(frozen=True)
class Source:
    """An image taken apart.

    Attributes:
        rgb: the colours, mode RGB.
        alpha: mode L; None without transparency.
        grey: whether it was a grey image.
        icc_profile: colour profile of the file, kept.
    """

    rgb: Image.Image
    alpha: Image.Image | None
    grey: bool
    icc_profile: bytes | None


def open_source(path: Path) -> Source:
    """Read an image as a camera's viewer would show it (EXIF orientation applied).

    Raises:
        HarnessError: missing or unreadable.
    """
    image = open_image(path)
    icc = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    transparent = "A" in image.getbands() or "transparency" in image.info
    alpha = image.convert("RGBA").getchannel("A") if transparent else None
    grey = image.mode in ("1", "L", "LA")
    # The result is RGB (or grey): a profile of four inks or of grey would not fit it.
    fits = not grey and image.mode != "CMYK"
    return Source(image.convert("RGB"), alpha, grey, icc if fits else None)


def check_target(path: Path, source: Source) -> str:
    """Pillow's format for a file name, before any work is done.

    Raises:
        HarnessError: unknown suffix, missing folder, or a type without transparency.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise HarnessError(
            f"{path.name} has no suffix of an image type that can be written.", "Use .png."
        )
    if not path.parent.is_dir():
        raise HarnessError(f"There is no folder {path.parent}.", "Make it first.")
    if path.is_dir():
        raise HarnessError(f"{path} is a folder.", "Name a file in it.")
    if source.alpha is not None and kind not in _WITH_ALPHA:
        raise HarnessError(
            f"The image has transparency, which {kind} files cannot hold.", "Use .png."
        )
    return kind


def _enlarge_rgb(
    subject: Subject, rgb: torch.Tensor, scale: float, settings: Evaluation
) -> torch.Tensor:
    """uint8 (3, h, w) to uint8 (3, H, W)."""
    size = (round(rgb.shape[-2] * scale), round(rgb.shape[-1] * scale))
    out = torch.empty(3, *size, dtype=torch.uint8)
    with bar(f"{subject.method} x{scale:g}", size[0] * size[1]) as progress:
        made = stream(
            subject.model,
            unit(rgb)[None],
            scale,
            precision=settings.precision,
            memory=settings.memory,
        )
        top = 0
        for strip in made.strips:
            rows = strip.shape[1]
            out[:, top : top + rows] = quantise(strip).cpu()
            top += rows
            progress.advance(rows * size[1])
    return out


def enlarge(subject: Subject, source: Source, scale: float, settings: Evaluation) -> Image.Image:
    """The enlarged image, grey or transparent as the source was."""
    image = to_image(_enlarge_rgb(subject, to_tensor(source.rgb), scale, settings))
    if source.grey:
        image = image.convert("L")
    if source.alpha is not None:
        alpha = imresize(to_tensor(source.alpha), (image.height, image.width))
        image.putalpha(to_image(alpha))
    if source.icc_profile:
        image.info["icc_profile"] = source.icc_profile
    return image


def save(image: Image.Image, path: Path, kind: str) -> None:
    """Write an image, whole or not at all.

    Raises:
        HarnessError: the folder cannot be written, or the type cannot hold the image.
    """
    with replacing(path) as temporary:
        try:
            image.save(temporary, format=kind, icc_profile=image.info.get("icc_profile"))
        except (ValueError, KeyError) as error:
            raise HarnessError(
                f"{path}: a {kind} file cannot hold this image ({error}).", "Use .png."
            ) from error
