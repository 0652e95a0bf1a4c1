"""`harness data verify`: what is wrong with the image files of a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from harness.data import manifest
from harness.data.checking_lr import lr_folders
from harness.data.findings import Finding, check_mode, note, problem, reading_problem
from harness.data.images import open_image, to_tensor
from harness.data.sets import SPECS
from harness.data.sets.base import DatasetSpec, Layout, image_files
from harness.errors import HarnessError

_FETCH_AGAIN = "Remove it and fetch the set again."


@dataclass
class Checked:
    """The result for one dataset.

    Attributes:
        dataset: its name.
        folder: of its HR images.
        images: how many there are.
        expected: how many the published set has.
        lr: LR folders, `X2` to what they are.
        findings: problems and notes.
    """

    dataset: str
    folder: Path
    images: int
    expected: int
    lr: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def count(self, level: str) -> int:
        """Findings of a level."""
        return sum(finding.level == level for finding in self.findings)


def present(root: Path) -> list[str]:
    """Datasets of which something is below the data root."""
    layouts = {name: spec.layout for name, spec in SPECS.items()}
    return [name for name, layout in layouts.items() if layout and (root / layout.hr).is_dir()]


def check(
    name: str, root: Path, resize: bool = True, done: Callable[[], None] = lambda: None
) -> Checked:
    """Look at every image of a dataset below the data root.

    Args:
        name: of a dataset with image files.
        root: data root.
        resize: compare LR images with the MATLAB-compatible resize of HR.
        done: called after each HR image.
    """
    spec = SPECS[name]
    layout = spec.layout
    assert layout is not None
    folder = root / layout.hr
    files = image_files(folder) if folder.is_dir() else []
    result = Checked(name, folder, len(files), layout.expected)
    if not files:
        what = "has no images" if folder.is_dir() else "does not exist"
        result.findings.append(problem(folder, what, spec.how_to_get))
        return result
    result.findings += _check_names(spec, layout, folder, files)
    lr = lr_folders(spec, root, resize)
    for path in files:
        hr = _check_image(name, path, result.findings)
        for each in lr:
            each.check_image(path.stem, hr)
        done()
    for each in lr:
        result.findings += each.finish([path.stem for path in files])
        result.lr[each.folder.name] = each.kind
    return result


def _check_names(
    spec: DatasetSpec, layout: Layout, folder: Path, files: list[Path]
) -> list[Finding]:
    """Images that are missing, twice there, or not of the set."""
    found = Counter(path.stem for path in files)
    known = manifest.names(spec.name)
    findings = [
        problem(folder / name, "there are several images of this name", "Keep one of them.")
        for name, count in found.items()
        if count > 1
    ]
    if known:
        suffix = files[0].suffix
        findings += [
            problem(folder / f"{name}{suffix}", "is missing", spec.how_to_get)
            for name in known
            if name not in found
        ]
        findings += [
            problem(path, "is not an image of the set", "Move it elsewhere.")
            for path in files
            if path.stem not in known
        ]
    elif len(files) != layout.expected:
        what = f"has {len(files)} images; the published set has {layout.expected}"
        findings.append(problem(folder, what, spec.how_to_get))
    return findings


def _check_image(dataset: str, path: Path, findings: list[Finding]) -> Tensor | None:
    """Read an HR image and compare it; None where it cannot be read."""
    try:
        image = open_image(path)
    except HarnessError as error:
        findings.append(reading_problem(path, error, _FETCH_AGAIN))
        return None
    findings += check_mode(path, image, _FETCH_AGAIN)
    pixels = to_tensor(image.convert("RGB"))
    status, what = manifest.compare(dataset, path, pixels)
    if status == manifest.ALTERED:
        findings.append(problem(path, f"is altered: {what}", _FETCH_AGAIN))
    elif status == manifest.OTHER_VERSION:
        findings.append(note(path, f"is a known version: {what}"))
    return pixels
