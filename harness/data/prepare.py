"""Folders of LR images made by the MATLAB-compatible resize, for `harness data prepare`."""

from __future__ import annotations

import json
from pathlib import Path

from harness import __version__
from harness.common.errors import HarnessError, UsageError
from harness.common.files import write_text
from harness.common.progress import bar
from harness.data.degrade import (
    RULE,
    lr_size,
    matlab_imresize,
    mod_crop,
    read_prepared,
    save_prepared,
)
from harness.data.images import open_image, to_tensor
from harness.data.sets import SPECS, check_name, find
from harness.data.sets.base import MARKER, image_files, is_prepared, scale_label

_ABOUT = (
    "These LR images were made by `harness data prepare` from the HR images beside them. They are "
    "not the dataset's own. Leave this file here: it tells measurements so."
)


def folders_of(name: str) -> tuple[str, str]:
    """Find the HR folder of a dataset, and its LR folder with `{scale}` for the scale.

    Raises:
        UsageError: the dataset is unknown or has no LR images.
    """
    layout = SPECS[check_name(name)].layout
    if layout is None or layout.lr is None:
        raise UsageError(f"{name} has no LR folders: its LR images are made when they are needed.")
    return layout.hr, layout.lr


def prepare(
    name: str, scale: float, root: Path, out: Path | None = None, force: bool = False
) -> tuple[Path, dict[str, list[Path]]]:
    """Make the LR images of a dataset at a scale of at least 1; correct ones are kept.

    `out` is the root for the LR images, if not that of the HR images; `force` replaces wrong files,
    but only in folders that were made by this command.

    Returns:
        The folder, and the files that were `made` or `kept`, are `wrong`, or would be `too small`
        to have a pixel. A dataset's own LR images are never touched and not listed.

    Raises:
        UsageError: see `folders_of`; or a scale that leaves no pixel of any image.
        HarnessError: HR images are missing or damaged, the dataset's own LR images are incomplete,
            or the folder cannot be written.
    """
    hr, lr = folders_of(name)
    folder = (out or root) / lr.format(scale=scale_label(scale))
    dataset = find(name, root)
    if folder.is_dir() and not is_prepared(folder) and image_files(folder):
        files = [f"{path.stem}x{scale_label(scale)}.png" for path in image_files(root / hr)]
        missing = [file for file in files if not (folder / file).is_file()]
        if missing:
            raise HarnessError(
                f"{folder} holds LR images that were not made here and lacks {len(missing)}, such "
                f"as {missing[0]}.",
                f"Complete it (harness data fetch {name}), or move it away, or name another place "
                "with --out: the two kinds are not mixed.",
            )
        return folder, {}
    if all(min(lr_size(item.size(), scale)) < 1 for item in dataset.items):
        raise UsageError(f"x{scale:g} leaves no pixel of any image of {name}.")
    marker = {
        "about": _ABOUT,
        "dataset": name,
        "scale": scale_label(scale),
        "rule": RULE,
        "hr_fingerprint": dataset.fingerprint,
        "made_by": f"moeisr-harness {__version__}",
    }
    # Before the first image: an unfinished folder must not pass for the dataset's own.
    write_text(folder / MARKER, json.dumps(marker, indent=1) + "\n")
    outcome: dict[str, list[Path]] = {"made": [], "kept": [], "too small": [], "wrong": []}
    paths = image_files(root / hr)
    with bar(f"prepare {name} x{scale:g}", len(paths)) as progress:
        for path in paths:
            target = folder / f"{path.stem}x{scale_label(scale)}.png"
            outcome[_prepare_image(path, target, scale, force)].append(target)
            progress.advance()
    return folder, outcome


def _prepare_image(path: Path, target: Path, scale: float, force: bool) -> str:
    """Make an LR image if needed, and return what was done."""
    image = open_image(path)
    cropped = mod_crop(to_tensor(image.convert("RGB")), scale)
    if cropped.numel() == 0:
        return "too small"
    if read_prepared(target, cropped, scale) is not None:
        return "kept"
    if target.exists() and not force:
        return "wrong"
    # A grey image stays grey, as in the sets' own LR folders.
    lr = matlab_imresize(cropped, 1 / scale)
    save_prepared(target, lr, cropped, scale, grey=image.mode in ("1", "L", "LA"))
    return "made"
