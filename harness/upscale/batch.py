"""Choice of image files to enlarge, of the size of their results, and of the files for these."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.common.errors import HarnessError, UsageError
from harness.data.images import opened
from harness.upscale.image_files import is_writable

Size = tuple[int, int]
_PATTERN = set("*?[")


@dataclass(frozen=True)
class Factor:
    """Enlargement of an image: by a factor (`scale`), or to a `size` (H, W) of every result."""

    scale: float | None = None
    size: Size | None = None

    def of(self, lr_size: Size) -> float:
        """Return the factor for an LR image of (h, w): of the area's side, where two sides differ.

        Raises:
            UsageError: the size is smaller than the image.
        """
        if self.size is None:
            assert self.scale is not None
            return self.scale
        if self.size[0] < lr_size[0] or self.size[1] < lr_size[1]:
            raise UsageError(
                f"The image has {lr_size[1]}x{lr_size[0]} pixels, which is more than "
                f"{self.size[1]}x{self.size[0]} on a side; images are enlarged, never reduced."
            )
        return math.sqrt(math.prod(self.size) / math.prod(lr_size))

    def pixels(self, path: Path) -> int:
        """Pixels of the result of an image file; 0 where it cannot be read."""
        try:
            with opened(path) as image:
                pixels = math.prod(image.size)
        except HarnessError:
            return 0
        return math.prod(self.size) if self.size else round(pixels * (self.scale or 1) ** 2)

    @property
    def suffix(self) -> str:
        """Make the ending of the names of results.

        Example:
            >>> Factor(3.7).suffix, Factor(size=(720, 1280)).suffix
            ('_x3.7', '_1280x720')
        """
        return f"_{self.size[1]}x{self.size[0]}" if self.size else f"_x{self.scale:g}"


def files_of(given: Sequence[Path], target: Path | None, factor: Factor) -> list[tuple[Path, Path]]:
    """Pair image files with the files of their enlarged images.

    Args:
        given: image files, folders (the images in them) and patterns (`*.png`).
        target: a file for one image; a folder for several, which is made; None: beside the image,
            with the factor in its name.
        factor: for that name.

    Raises:
        HarnessError: nothing matches, or two results would have one name.
        UsageError: several images and no target.
    """
    sources = [path for each in given for path in _images(each)]
    several = len(sources) > 1 or given[0].is_dir()
    if target is None:
        if several:
            raise UsageError(f"{len(sources)} images need a folder to be written to: name it last.")
        return [(sources[0], _named(sources[0].parent, sources[0], factor.suffix))]
    if not several and not target.is_dir():
        return [(sources[0], target)]
    if target.exists() and not target.is_dir():
        raise HarnessError(
            f"{target} is a file, and {len(sources)} images are to be written.",
            "Name a folder last.",
        )
    pairs = [(path, _named(target, path, "")) for path in sources]
    twice = [place for place, n in Counter(place for _, place in pairs).items() if n > 1]
    if twice:
        raise HarnessError(
            f"Several images would be written to {twice[0]}.", "Enlarge them into two folders."
        )
    return pairs


def _images(path: Path) -> list[Path]:
    if path.is_dir():  # what lies beside images in a folder is passed over
        files = (each for each in path.iterdir() if each.is_file() and each.name[0] != ".")
        found = sorted(f for f in files if is_writable(f) or f.suffix.lower() == ".gif")
    elif _PATTERN & set(str(path)) and not path.exists():
        matching = Path(path.anchor or ".").glob(str(path.relative_to(path.anchor)))
        found = sorted(each for each in matching if each.is_file())
    else:
        return [path]
    if not found:
        raise HarnessError(f"There is no image in {path}.", "Check the path.")
    return found


def _named(folder: Path, source: Path, suffix: str) -> Path:
    ending = source.suffix if is_writable(source) else ".png"
    return folder / f"{source.stem}{suffix}{ending}"
