"""`harness data prepare`: folders of LR images by the MATLAB-compatible resize, at any scale."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from harness import __version__
from harness.data.degrade import lr_size, matlab_imresize
from harness.data.images import open_image, read_rgb, to_image, to_tensor
from harness.data.prepared import (
    MARKER,
    RULE,
    is_prepared,
    mark_of,
    read_prepared,
    save_marked,
    scale_label,
)
from harness.data.sets import SPECS, Dataset, check_name, find
from harness.data.sets.base import image_files
from harness.errors import HarnessError, UsageError
from harness.files import write_text

_ABOUT = (
    "These LR images were made by `harness data prepare` from the HR images beside them. They are "
    "not the dataset's own. Leave this file here: it tells measurements so."
)


@dataclass
class Outcome:
    """What became of one folder.

    Attributes:
        folder: of the LR images.
        own: whether it holds the dataset's own LR images, which are never touched.
        made: images written.
        kept: images that were there and are what would be made.
        too_small: HR images without an LR pixel at this scale.
        wrong: files that are there and are something else.
    """

    folder: Path
    own: bool = False
    made: int = 0
    kept: int = 0
    too_small: list[str] = field(default_factory=list)
    wrong: list[Path] = field(default_factory=list)


def make_lr(hr: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """LR image by the MATLAB-compatible resize, and the part of the HR image it stands for.

    LR side = floor(HR side / scale); HR is cut from the top left to floor(LR side * scale), which
    at an integer scale is the usual cut to a multiple of it.

    Args:
        hr: uint8 (3, H, W), with at least one LR pixel.
        scale: at least 1.

    Returns:
        (lr, cropped), both uint8.
    """
    size = lr_size((hr.shape[-2], hr.shape[-1]), scale)
    rows, columns = (math.floor(side * scale + 1e-9) for side in size)
    cropped = hr[:, :rows, :columns].contiguous()
    return matlab_imresize(cropped, 1 / scale), cropped


def lr_folder(name: str, scale: float, root: Path) -> Path:
    """Where the LR images of a dataset belong.

    Raises:
        UsageError: for an unknown dataset, and one that has no LR images.
    """
    layout = SPECS[check_name(name)].layout
    if layout is None or layout.lr is None:
        raise UsageError(
            f"{name} has no LR folders: it is trained on, and LR patches are made on the way."
            if layout
            else f"{name} is part of an installed package; its LR images are made when needed."
        )
    return root / layout.lr.format(scale=scale_label(scale))


def prepare(
    name: str,
    scale: float,
    root: Path,
    out: Path | None = None,
    force: bool = False,
    done: Callable[[], None] = lambda: None,
) -> Outcome:
    """Make the LR images of a dataset at a scale; those that are there and right are kept.

    Args:
        name: of the dataset.
        scale: at least 1.
        root: data root of the HR images.
        out: another root for the LR images.
        force: replace files that are wrong (in folders that were made here only).
        done: called after each image.

    Raises:
        UsageError: see `lr_folder`; or a scale that leaves no pixel of any image.
        HarnessError: HR images that are missing or damaged; a folder that cannot be written;
            a folder of the dataset's own LR images that lacks some.
    """
    folder = lr_folder(name, scale, out or root)
    dataset = find(name, root)
    layout = SPECS[name].layout
    assert layout is not None
    outcome = Outcome(folder)
    if _holds_own_images(folder):
        outcome.own = True
        _check_own(dataset, folder, scale)
        return outcome
    if all(min(lr_size(item.size(), scale)) < 1 for item in dataset.items):
        raise UsageError(f"x{scale:g} leaves no pixel of any image of {name}.")
    _write_marker(dataset, scale, folder)
    for path in image_files(root / layout.hr):
        _prepare_image(path, scale, force, outcome)
        done()
    return outcome


def _holds_own_images(folder: Path) -> bool:
    return folder.is_dir() and not is_prepared(folder) and bool(image_files(folder))


def _check_own(dataset: Dataset, folder: Path, scale: float) -> None:
    """The dataset's own images are left as they are, but must not be mixed with ours."""
    label = scale_label(scale)
    files = [folder / f"{item.name}x{label}.png" for item in dataset.items]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise HarnessError(
            f"{folder} holds LR images that were not made here and lacks {len(missing)}, such as "
            f"{missing[0]}.",
            f"Complete it (harness data fetch {dataset.name}), or move it away, or name another "
            "place with --out: the two kinds are not mixed.",
        )


def _write_marker(dataset: Dataset, scale: float, folder: Path) -> None:
    """Before the first image: an unfinished folder must not pass for the dataset's own."""
    content = {
        "about": _ABOUT,
        "dataset": dataset.name,
        "scale": scale_label(scale),
        "rule": RULE,
        "hr_fingerprint": dataset.fingerprint(),
        "made_by": f"moeisr-harness {__version__}",
    }
    text = json.dumps(content, indent=1) + "\n"
    marker = folder / MARKER
    if marker.is_file() and marker.read_text(encoding="utf-8") == text:
        return
    try:
        write_text(marker, text)
    except HarnessError as error:
        reason = str(error).partition("\n")[0]
        raise HarnessError(reason, "Name a folder that may be written with --out.") from error


def _prepare_image(path: Path, scale: float, force: bool, outcome: Outcome) -> None:
    image = open_image(path)
    hr = to_tensor(image.convert("RGB"))
    if min(lr_size((hr.shape[-2], hr.shape[-1]), scale)) < 1:
        outcome.too_small.append(path.stem)
        return
    target = outcome.folder / f"{path.stem}x{scale_label(scale)}.png"
    if target.exists() and _is_right(target, hr, scale):
        outcome.kept += 1
        return
    if target.exists() and not force:
        outcome.wrong.append(target)
        return
    lr, cropped = make_lr(hr, scale)
    # A grey image stays grey, as in the sets' own LR folders.
    made = to_image(lr[:1] if image.mode in ("1", "L", "LA") else lr)
    save_marked(made, target, mark_of(lr, cropped, scale))
    outcome.made += 1


def _is_right(target: Path, hr: Tensor, scale: float) -> bool:
    """Whether a file is the LR image that would be made; its mark saves making it."""
    h, w = lr_size((hr.shape[-2], hr.shape[-1]), scale)
    rows, columns = math.floor(h * scale + 1e-9), math.floor(w * scale + 1e-9)
    if read_prepared(target, hr[:, :rows, :columns].contiguous(), scale) is not None:
        return True
    try:
        return torch.equal(read_rgb(target), make_lr(hr, scale)[0])
    except HarnessError:
        return False
