"""Stored pictures of a sample, and how they are drawn; shared by expert maps and crops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.common.errors import HarnessError
from harness.measure.crops import Sample
from harness.report.data import Report


def picture(sample: Sample, name: str) -> Image.Image:
    """Read a picture of a sample.

    Raises:
        HarnessError: it cannot be read.
    """
    path = sample.folder / name
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except OSError as error:
        raise HarnessError(
            f"Cannot read {path}, which the figures are made of: {error}",
            f"Delete {sample.folder} and run the experiment again.",
        ) from error


def show(axis: Any, image: NDArray[np.uint8], title: str = "", **options: Any) -> None:
    """Draw an image without ticks, and not interpolated unless asked for."""
    axis.imshow(image, **{"interpolation": "nearest", **options})
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
    if title:
        axis.set_title(title, fontsize=6.5, pad=3)


def without_samples(report: Report) -> str:
    """Say how to get pictures, where none are stored."""
    profile = report.plan.profile.replace("`", "'")  # which ends the code span
    return (
        "Left out, because no samples are stored: "
        f"`harness run {report.experiment.name} --profile {profile}` stores them while it measures."
    )
