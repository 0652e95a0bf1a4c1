"""Contents of a data root: counted for `harness data list`, read for `harness data verify`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.common.errors import HarnessError
from harness.common.progress import bar
from harness.data import sets
from harness.data.degrade import lr_size, matlab_imresize, mod_crop, read_mark
from harness.data.images import open_image, read_rgb, to_tensor
from harness.data.sets import SPECS, manifest
from harness.data.sets.base import DatasetSpec, Layout, image_files, is_prepared, scale_label

_AGAIN = "Remove it and fetch the set again."
_OTHER = "not the MATLAB-compatible resize of"
# Sets whose own LR images are this resize bit for bit (tests/test_degrade.py); of the others'
# we do not know which MATLAB made them.
_EXACT = ("Set5",)


class LRFolder(NamedTuple):
    """LR images of one scale: `own` (the dataset's) or `prepared` (`harness data prepare`)."""

    folder: Path
    scale: float
    kind: str


def lr_folders(layout: Layout, root: Path) -> list[LRFolder]:
    """List the existing LR folders of a dataset, by scale: `X2`, `X2.5`."""
    found = []
    for folder in (root / layout.lr).parent.glob("X*") if layout.lr else ():
        try:
            scale = float(folder.name[1:])
        except ValueError:
            continue
        if 1 <= scale <= 1000 and folder.name == f"X{scale_label(scale)}" and folder.is_dir():
            found.append(LRFolder(folder, scale, "prepared" if is_prepared(folder) else "own"))
    return sorted(found, key=lambda each: each.scale)


def describe(spec: DatasetSpec, root: Path | None) -> dict[str, Any]:
    """Describe a dataset for `harness data list`; images are counted, not read."""
    layout, state, images, lr = spec.layout, "no data root", None, []
    if layout is None:
        state, images = "built in", len(spec.find(spec, None).items)
    elif root is not None:
        images = len(image_files(root / layout.hr)) if (root / layout.hr).is_dir() else 0
        state = "incomplete" if images else "absent"
        if images >= layout.expected:
            state = "complete" if images == layout.expected else "too many images"
        lr = [
            {"scale": each.folder.name, "images": len(image_files(each.folder)), "kind": each.kind}
            for each in lr_folders(layout, root)
        ]
    sizes = [
        archive.size
        for archive in sets.archives()
        if layout and any(folder in archive.folders for folder in layout.published)
    ]
    return {
        "dataset": spec.name,
        "description": spec.description,
        "state": state,
        "images": images,
        "expected": layout.expected if layout else images,
        "folder": layout.hr if layout else None,
        "lr": lr,
        "how_to_get": spec.how_to_get,
        "download_bytes": sum(sizes) or None,
    }


class Findings(list[dict[str, str]]):
    """Findings about a dataset: level, path, the rest of a sentence that begins with it, remedy."""

    def problem(self, path: Path, what: str, remedy: str, level: str = "problem") -> None:
        """Add a finding that makes the set unfit for measurements."""
        self.append({"level": level, "path": str(path), "what": what, "remedy": remedy})

    def note(self, path: Path, what: str, remedy: str = "") -> None:
        """Add a finding that a reader should know."""
        self.problem(path, what, remedy, level="note")


def verify(name: str, root: Path, resize: bool = True) -> dict[str, Any]:
    """Read every image of a dataset of files, and compare LR images with a `resize` of HR.

    Returns:
        `dataset`, `folder` of its HR images, `images` there and `expected`, `lr` (LR folders and
        their kind) and `findings`.
    """
    spec = SPECS[name]
    layout = spec.layout
    assert layout is not None
    folder, findings = root / layout.hr, Findings()
    files = image_files(folder) if folder.is_dir() else []
    scales = lr_folders(layout, root) if files else []
    if files:
        _check_names(spec, files, findings)
    else:
        what = "has no images" if folder.is_dir() else "does not exist"
        findings.problem(folder, what, spec.how_to_get)
    sizes: dict[Path, tuple[int, int]] = {}
    with bar(f"verify {name}", len(files)) as progress:
        for path in files:
            hr = _read(path, _AGAIN, findings)
            if hr is not None:
                sizes[path] = (hr.shape[-2], hr.shape[-1])
                status, what = manifest.compare(name, path, hr)
                if status == manifest.ALTERED:
                    findings.problem(path, f"is altered: {what}", _AGAIN)
                elif status == manifest.OTHER_VERSION:
                    findings.note(path, f"is a known version: {what}")
            progress.advance()
    for lr in scales:
        _check_lr(lr, files, sizes, resize, name in _EXACT, findings)
    return {
        "dataset": name,
        "folder": str(folder),
        "images": len(files),
        "expected": layout.expected,
        "lr": {lr.folder.name: lr.kind for lr in scales},
        "findings": findings,
    }


def _check_names(spec: DatasetSpec, files: list[Path], findings: Findings) -> None:
    """Find images that are missing, duplicated, or not of the set."""
    folder, suffix = files[0].parent, files[0].suffix
    found = Counter(path.stem for path in files)
    known = manifest.names(spec.name)
    for name in (name for name, count in found.items() if count > 1):
        findings.problem(folder / name, "there are several images of this name", "Keep one.")
    for name in (name for name in known if name not in found):
        findings.problem(folder / f"{name}{suffix}", "is missing", spec.how_to_get)
    for path in (path for path in files if known and path.stem not in known):
        findings.problem(path, "is not an image of the set", "Move it elsewhere.")


def _read(path: Path, remedy: str, findings: Findings) -> Tensor | None:
    """Read an image as uint8 (3, H, W); None, and a problem, where it cannot be read."""
    try:
        image = open_image(path)
    except HarnessError as error:
        findings.problem(path, str(error).partition("\n")[0].removeprefix(f"{path} "), remedy)
        return None
    if image.mode not in ("RGB", "L"):  # measuring would silently turn it into RGB
        what = f"has pixel mode {image.mode}; the published images are RGB or grey"
        findings.problem(path, what, remedy)
    return to_tensor(image.convert("RGB"))


def _check_lr(
    lr: LRFolder,
    files: list[Path],
    sizes: dict[Path, tuple[int, int]],
    resize: bool,
    exact: bool,
    findings: Findings,
) -> None:
    """Check the LR images of one scale.

    `sizes` has (height, width) of the HR images that could be read. With `exact`, the set's own LR
    images, and not only prepared ones, must equal the MATLAB-compatible resize.
    """
    label, own = scale_label(lr.scale), lr.kind == "own"
    again = f"harness data prepare with --scale {label} --force."
    again = "Fetch the set again." if own else again
    other, marked = [], 0
    paths = {lr.folder / f"{hr.stem}x{label}.png": hr for hr in files}
    for path in sorted(set(image_files(lr.folder)) - paths.keys()):
        findings.problem(path, "belongs to no HR image", "Move it elsewhere.")
    with bar(f"verify {lr.folder}", len(files)) as progress:
        for path, hr in paths.items():
            progress.advance()
            size = lr_size(sizes[hr], lr.scale) if hr in sizes else None
            if not path.is_file():
                if size is None or min(size) > 0:
                    findings.problem(path, "is missing", again)
                continue
            image = _read(path, again, findings)
            marked += own and read_mark(path) is not None
            if image is None or size is None:
                continue
            if tuple(image.shape[-2:]) != size:
                h, w = sizes[hr]
                what = (
                    f"is {image.shape[-1]}x{image.shape[-2]}, but {hr.stem} is {w}x{h}: expected "
                    f"{size[1]}x{size[0]} at x{label}"
                )
                findings.problem(path, what, again)
            elif resize:
                made = matlab_imresize(mod_crop(read_rgb(hr), lr.scale), 1 / lr.scale)
                other += [] if torch.equal(image, made) else [path]
    if exact or not own:
        for path in other:
            findings.problem(path, f"is {_OTHER} its HR image", again)
    elif other:
        what = f"has {len(other)} images that are {_OTHER} HR, such as {other[0].name}"
        findings.note(lr.folder, what)
    if marked:
        what = f"has {marked} images that were made by `harness data prepare`"
        findings.note(lr.folder, what, "They are measured as `matlab`.")
