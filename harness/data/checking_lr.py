"""LR folders as `harness data verify` sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from harness.data.degrade import lr_size
from harness.data.findings import Finding, check_mode, note, problem, reading_problem
from harness.data.images import open_image, to_tensor
from harness.data.prepared import is_prepared, read_mark, scale_label
from harness.data.preparing import make_lr
from harness.data.sets.base import DatasetSpec, image_files
from harness.errors import HarnessError

OWN, PREPARED = "own", "prepared"
# Sets whose own LR images are this resize bit for bit (tests/test_degrade.py); of the others'
# we do not know which MATLAB made them.
_EXACT = ("Set5",)
_OTHER = "is not the MATLAB-compatible resize of its HR image"


@dataclass
class LRFolder:
    """The LR images of one scale.

    Attributes:
        kind: OWN (the dataset's) or PREPARED (made by `harness data prepare`).
        resize: whether to compare with the MATLAB-compatible resize.
        exact: whether another result of that comparison is a problem, not a note.
        compared: images that were compared.
        other: of those, the ones that are not that resize.
        marked: files in an own folder that say that they were made here.
    """

    folder: Path
    scale: float
    kind: str
    resize: bool
    exact: bool
    compared: int = 0
    other: list[Path] = field(default_factory=list)
    marked: list[Path] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def remedy(self) -> str:
        """What to do about a wrong file."""
        if self.kind == PREPARED:
            return f"harness data prepare with --scale {scale_label(self.scale)} --force."
        return "Fetch the set again."

    def path_of(self, name: str) -> Path:
        """Where the LR image of an HR image lies."""
        return self.folder / f"{name}x{scale_label(self.scale)}.png"

    def check_image(self, name: str, hr: Tensor | None) -> None:
        """Look at the LR image of an HR image, uint8 (3, H, W); None if that cannot be read."""
        path = self.path_of(name)
        size = None if hr is None else lr_size((hr.shape[-2], hr.shape[-1]), self.scale)
        if not path.is_file():
            if size is None or min(size) > 0:
                self.findings.append(problem(path, "is missing", self.remedy))
            return
        try:
            image = open_image(path)
        except HarnessError as error:
            self.findings.append(reading_problem(path, error, self.remedy))
            return
        self.findings += check_mode(path, image, self.remedy)
        lr = to_tensor(image.convert("RGB"))
        if self.kind == OWN and read_mark(path) is not None:
            self.marked.append(path)
        if hr is None or size is None:
            return
        if tuple(lr.shape[-2:]) != size:
            what = (
                f"is {lr.shape[-1]}x{lr.shape[-2]}, but {name} is {hr.shape[-1]}x{hr.shape[-2]}: "
                f"expected {size[1]}x{size[0]} at x{scale_label(self.scale)}"
            )
            self.findings.append(problem(path, what, self.remedy))
        elif self.resize:
            self._compare(path, lr, hr)

    def _compare(self, path: Path, lr: Tensor, hr: Tensor) -> None:
        self.compared += 1
        if torch.equal(lr, make_lr(hr, self.scale)[0]):
            return
        self.other.append(path)
        if self.exact:
            self.findings.append(problem(path, _OTHER, self.remedy))

    def finish(self, names: list[str]) -> list[Finding]:
        """All findings, after the last image."""
        known = {self.path_of(name).name for name in names}
        for path in image_files(self.folder):
            if path.name not in known:
                self.findings.append(problem(path, "belongs to no HR image", "Move it elsewhere."))
        if self.other and not self.exact:
            what = (
                f"has {len(self.other)} of {self.compared} images that are not the "
                f"MATLAB-compatible resize of HR, such as {self.other[0].name}"
            )
            self.findings.append(note(self.folder, what))
        if self.marked:
            what = f"has {len(self.marked)} images that were made by `harness data prepare`"
            self.findings.append(note(self.folder, what, "They are measured as `matlab`."))
        return self.findings


def lr_folders(spec: DatasetSpec, root: Path, resize: bool) -> list[LRFolder]:
    """The LR folders of a dataset that are there, by scale."""
    if spec.layout is None or spec.layout.lr is None:
        return []
    parent = (root / spec.layout.lr).parent
    found = []
    for folder in parent.iterdir() if parent.is_dir() else ():
        scale = _scale_of(folder.name)
        if scale is not None and folder.is_dir():
            kind = PREPARED if is_prepared(folder) else OWN
            exact = kind == PREPARED or spec.name in _EXACT
            found.append(LRFolder(folder, scale, kind, resize, exact))
    return sorted(found, key=lambda each: each.scale)


def _scale_of(name: str) -> float | None:
    """The scale of a folder's name: `X2`, `X2.5`."""
    try:
        scale = float(name.removeprefix("X")) if name.startswith("X") else 0.0
    except ValueError:
        return None
    return scale if 1 <= scale <= 1000 and name == f"X{scale_label(scale)}" else None
