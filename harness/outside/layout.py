"""Folders of SR images as other programs write them: the network, scale and HR image of a file.

Understood are file names with the HR image's name as a word of its own (`baby.png`, `babyx4.png`,
`baby_x4_EDSR.png`, `SR_baby.png`), and folders for networks, scales and data sets in any order
(`bsrn_x2/`, `X4/Set5/`, `results-Set5/`). What two readings fit is an error, and what none fits is
named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.common.errors import HarnessError, UsageError
from harness.data.sets import SPECS

SUFFIXES = (".png", ".npy", ".bmp", ".tif", ".tiff")
"""Types of SR images: without loss, so that nothing is added to what is measured."""
LOSSY = (".jpg", ".jpeg", ".webp", ".jp2", ".gif", ".avif")
_SKIPPED_SUFFIXES = (*SUFFIXES, *LOSSY)
_DEEPEST = 5
_LARGEST_SCALE = 64

_END = r"(?![A-Za-z0-9])"
_NUMBER = r"(\d{1,2}(?:\.\d+)?)"
_SCALES = (
    re.compile(rf"(?<![A-Za-z0-9])x{_NUMBER}{_END}", re.IGNORECASE),
    re.compile(rf"(?<![A-Za-z0-9.]){_NUMBER}x{_END}", re.IGNORECASE),
    re.compile(rf"(?<![A-Za-z0-9])scale[_-]?{_NUMBER}{_END}", re.IGNORECASE),
)
# `EDSR_Lx4_f256`, `babyx4`: only where no word says the scale.
_LOOSE_SCALE = re.compile(rf"(?<=[A-Za-z])x{_NUMBER}{_END}", re.IGNORECASE)
# Words of what is no SR image, in names of files and folders.
_OTHERS = re.compile(r"(?<![A-Za-z0-9])(LR|HR|GT|LQ|LR_bicubic|input|target)(?![A-Za-z0-9])", re.I)
_SR = re.compile(r"(?<![A-Za-z0-9])SR(?![A-Za-z0-9])", re.I)
# Words that name no network.
_GENERAL = {"results", "result", "visualization", "visualisation", "output", "outputs", "images"}
_GENERAL |= {"image", "sr", "test", "png", "out", "testset", "testsets", "benchmark", "val"}
_GENERAL.add("valid")
_ALIASES = {
    **dict.fromkeys(("bsd100", "bsds100"), "B100"),
    **dict.fromkeys(("div2k", "div2k100", "div2k_valid_hr", "div2k_val"), "DIV2K_valid"),
}


@dataclass(frozen=True)
class Images:
    """SR images of one network for one dataset at one scale.

    Attributes:
        network: name of the network, from the folders.
        files: file by name of the HR image.
        doubtful: reasons by name of the HR image for which no file can be chosen.
    """

    network: str
    dataset: str
    scale: float
    files: Mapping[str, Path]
    doubtful: Mapping[str, str] = field(default_factory=dict)


def find_images(
    root: Path, names: Mapping[str, Sequence[str]], scales: Sequence[float] = (), pattern: str = ""
) -> tuple[list[Images], list[str]]:
    """Find the SR images of a folder, with notes on files that are not among them.

    Args:
        root: the folder.
        names: names of the HR images of each dataset.
        scales: scales that are asked for; empty for all that there are.
        pattern: form of the files' names, where they are not understood: `{name}` is the HR image's
            name, `{scale}` the scale (`{name}_x{scale}_SR`).

    Raises:
        UsageError: the pattern has no `{name}`.
        HarnessError: there are no images, no scale is known, or a name has two readings.
    """
    reader = _pattern(pattern) if pattern else None
    notes: list[str] = []
    files = _files(root, notes)
    chosen: dict[tuple[str, str, float], dict[str, list[Path]]] = {}
    unmatched: list[Path] = []
    for path in files:
        network, own, at = _of_folders(root.absolute(), path)
        sets = [dataset for dataset in names if own in ("", dataset)]
        readings = [(dataset, *_read(path, at, names[dataset], reader, scales)) for dataset in sets]
        matched = [reading for reading in readings if reading[1]]
        for dataset, name, scale in matched:
            group = chosen.setdefault((network, dataset, scale), {})
            group.setdefault(name, []).append(path)
        if sets and not matched:
            unmatched.append(path)
    if not chosen:
        raise _nothing(root, names, files)
    notes += _named(root, unmatched, f"of no image of {' or '.join(names)}, by the name")
    there = {key: group for key, group in chosen.items() if not scales or key[2] in scales}
    if not there:
        known = ", ".join(f"x{scale:g}" for scale in sorted({key[2] for key in chosen}))
        raise HarnessError(
            f"{root} has no SR images of the scales that are asked for; it has {known}.",
            "Change --scale, or leave it out.",
        )
    return [_one_each(root, *key, group, notes) for key, group in sorted(there.items())], notes


def _files(root: Path, notes: list[str]) -> list[Path]:
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise HarnessError(f"{root} {what}.", "Name the folder of the SR images with --images.")
    found: list[Path] = []
    left_out: list[Path] = []
    others: set[str] = set()
    root = root.absolute()
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if any(part.startswith((".", "__MACOSX")) for part in parts) or not path.is_file():
            continue
        if path.suffix.lower() not in _SKIPPED_SUFFIXES:
            others.add(path.suffix.lower() or path.name)
            continue
        if len(parts) > _DEEPEST + 1 or any(_OTHERS.fullmatch(part) for part in parts[:-1]):
            left_out.append(path)
            continue
        found.append(path)
    notes += _named(root, left_out, "in folders of LR or HR images, or too deep, and left out")
    if others:
        notes.append(f"{root}: files of other types ({', '.join(sorted(others))}) are left out.")
    return found


def _of_folders(root: Path, path: Path) -> tuple[str, str, float | None]:
    """Read what the names of a file's folders say, the nearest first: network, dataset, scale."""
    inner = path.relative_to(root).parts[:-1]
    around = [root.name, *(parent.name for parent in root.parents)][:3]
    dataset = next(filter(None, map(_dataset, reversed(inner))), "")
    said = (_scale(part, str(path)) for part in [*reversed(inner), *around])
    scale = next((found for found in said if found is not None), None)
    network = "-".join(filter(None, map(_network, inner)))
    if not network:
        network = next(filter(None, map(_network, around)), "images")
    return network, dataset, scale


def _dataset(part: str) -> str:
    """Find the dataset that a folder's name has as a word; "" for none."""
    known = {name.lower(): name for name in SPECS} | _ALIASES
    found = {known[word] for word in known if _as_word(word).search(part.lower())}
    # DIV2K is a word of DIV2K_valid; the longer name is meant.
    return max(found, key=len) if found else ""


def _as_word(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", re.IGNORECASE)


def _scale(text: str, where: str) -> float | None:
    """Find the scale that a name says; None where it says none."""
    for patterns in (_SCALES, (_LOOSE_SCALE,)):
        found = {float(hit) for pattern in patterns for hit in pattern.findall(text)}
        found = {scale for scale in found if 1 <= scale <= _LARGEST_SCALE}
        if len(found) > 1:
            several = " and ".join(f"x{scale:g}" for scale in sorted(found))
            raise HarnessError(f"{where} says {several}.", "Say the scale once in each name.")
        if found:
            return found.pop()
    return None


def _network(part: str) -> str:
    """Return what is left of a folder's name without scale and dataset; "" for general words."""
    for pattern in _SCALES:
        part = pattern.sub(" ", part)
    for name in (*SPECS, *sorted(_ALIASES, key=len, reverse=True)):
        part = _as_word(name).sub(" ", part)
    left = re.sub(r"[\s_-]*\s[\s_-]*", "-", part).strip("-_ .")
    return "" if left.lower() in _GENERAL else left


def _pattern(text: str) -> re.Pattern[str]:
    if text.count("{name}") != 1:
        raise UsageError("--pattern needs {name} once, as in '{name}_x{scale}_SR'.")
    suffix = Path(text).suffix
    form = text.removesuffix(suffix) if suffix.lower() in _SKIPPED_SUFFIXES else text
    parts = re.split(r"(\{name\}|\{scale\}|\*)", form)
    forms = {"{name}": "(?P<name>.+)", "{scale}": r"(?P<scale>\d+(?:\.\d+)?)", "*": ".*"}
    try:
        return re.compile("".join(forms.get(part, re.escape(part)) for part in parts))
    except re.error as error:
        raise UsageError(f"--pattern '{text}' is no pattern: {error}.") from error


def _read(
    path: Path,
    at: float | None,
    images: Iterable[str],
    reader: re.Pattern[str] | None,
    asked: Sequence[float],
) -> tuple[str, float]:
    """Find the HR image and the scale of a file; "" where it is of no image of the dataset.

    Its folders say that it is `at` a scale, or nothing.
    """
    said: float | None = None
    if reader is None:
        name, rest = _image(path, images)
    else:
        hit = reader.fullmatch(path.stem)
        name = hit["name"] if hit and hit["name"] in set(images) else ""
        rest = ""
        if hit and "scale" in reader.groupindex:
            said = float(hit["scale"])
    if not name:
        return "", 0
    said = said if said is not None else _scale(rest, str(path))
    if said is not None and at is not None and said != at:
        raise HarnessError(
            f"{path} says x{said:g}, and its folder x{at:g}.",
            "Say the scale in one of them only, or name the form of the files with --pattern.",
        )
    scale = said if said is not None else at
    if scale is None and len(asked) == 1:
        scale = asked[0]
    if scale is None:
        raise HarnessError(
            f"Neither the name of {path} nor its folders say a scale.", "Name it with --scale."
        )
    return name, scale


def _image(path: Path, images: Iterable[str]) -> tuple[str, str]:
    """Find the HR image that a file's name has as a word, and the rest of the name."""
    stem = path.stem
    names = list(images)
    if stem in names:
        return stem, ""
    spans: dict[str, tuple[int, int]] = {}
    for name in names:
        ends = r"(?=$|[^A-Za-z0-9]|x\d|(?<=[A-Za-z])\d{1,2}x(?![A-Za-z0-9]))"
        for hit in re.finditer(rf"(?<![A-Za-z0-9]){re.escape(name)}{ends}", stem, re.IGNORECASE):
            spans.setdefault(name, hit.span())
    # `bird_2` in `bird_2_x4`, not `bird`.
    longest = [
        name
        for name, (start, end) in spans.items()
        if not any((s, e) != (start, end) and s <= start and end <= e for s, e in spans.values())
    ]
    if len(longest) > 1:
        exact = [name for name in longest if stem[slice(*spans[name])] == name]
        longest = exact if len(exact) == 1 else longest
    if len(longest) > 1:
        raise HarnessError(
            f"{path} names several HR images: {', '.join(sorted(longest))}.",
            "Say which part is the name with --pattern, as in '{name}_x4_EDSR'.",
        )
    if not longest:
        return "", ""
    start, end = spans[longest[0]]
    return longest[0], f"{stem[:start]} {stem[end:]}"


def _one_each(
    root: Path,
    network: str,
    dataset: str,
    scale: float,
    group: Mapping[str, Sequence[Path]],
    notes: list[str],
) -> Images:
    """Choose the file of each HR image; files that say to be LR or HR give way to others."""
    files: dict[str, Path] = {}
    doubtful: dict[str, str] = {}
    for name, paths in group.items():
        sr = [path for path in paths if not _OTHERS.search(_beside(path, name))] or list(paths)
        said = [path for path in sr if _SR.search(_beside(path, name))]
        sr = said if len(said) == 1 and len(paths) > 1 else sr
        if len(sr) == 1:
            files[name] = sr[0]
            notes += _named(root, [p for p in paths if p != sr[0]], f"left out beside {sr[0].name}")
        else:
            listed = ", ".join(_short(root, path) for path in sr)
            doubtful[name] = f"there are several files for it: {listed}"
    return Images(network, dataset, scale, files, doubtful)


def _beside(path: Path, name: str) -> str:
    return path.stem.replace(name, " ", 1)


def _short(root: Path, path: Path) -> str:
    root = root.absolute()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _named(root: Path, paths: Sequence[Path], what: str) -> list[str]:
    """Make a note on files, the first of which are named."""
    if not paths:
        return []
    shown = ", ".join(_short(root, path) for path in paths[:5])
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return [f"{root}: {shown}{more}: {what}."]


def _nothing(root: Path, names: Mapping[str, Sequence[str]], files: Sequence[Path]) -> HarnessError:
    if not files:
        return HarnessError(
            f"{root} has no images ({', '.join(SUFFIXES)}).",
            "Name the folder of the SR images with --images.",
        )
    wanted = "; ".join(f"{name}: {', '.join(list(images)[:3])}" for name, images in names.items())
    seen = ", ".join(_short(root, path) for path in files[:3])
    return HarnessError(
        f"No file of {root} ({seen}, ...) has the name of an HR image ({wanted}, ...) as a word.",
        "Name the form of the files with --pattern, as in '{name}_x4_EDSR', or another --dataset.",
    )
