"""Options of methods from outside, and what is measured of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

import click

from harness.commands.cases import Case, Cases, protocols_for
from harness.commands.options import FILE, FOLDER, Setup
from harness.common.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from baselines import Method
    from harness.data.sets import Dataset
    from harness.outside.entries import Entry
    from harness.outside.images import StoredImages


def refuse(outside: Entry, **given: object) -> None:
    """Refuse options that need a network of the harness."""
    for name, value in given.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            other = f"--{outside.kind} {_INSTEAD[outside.kind]}"
            raise UsageError(f"{option} needs a network of ours; {other}.")


def cases_of_images(
    setup: Setup,
    outside: Entry,
    datasets: Sequence[str],
    scales: Sequence[float],
    protocol: str | None,
) -> Cases:
    """List what is to be measured of SR images."""
    sets = {found.name: found for found in map(setup.dataset, datasets)}
    methods, said = outside.open(sets, scales)
    notes = dict.fromkeys(said)
    cases = [c for method in methods for c in _cases(method, sets, scales, protocol, notes)]
    return cases, list(notes)


def _cases(
    method: Method,
    sets: Mapping[str, Dataset],
    scales: Sequence[float],
    protocol: str | None,
    notes: dict[str, None],
) -> Iterator[Case]:
    """List the cells of a network; notes get how they are scored, and which are missing."""
    from harness.checkpoints.subject import ready_subjects

    missing = {(name, scale) for name in sets for scale in scales or [0]}
    for subject in ready_subjects(method.name):
        images = cast("StoredImages", subject.model)
        missing -= {(images.dataset, images.scale), (images.dataset, 0)}
        for rule in _protocols(images, sets[images.dataset], protocol, notes):
            yield Case(subject, images.dataset, images.scale, rule)
    for name, scale in sorted(missing):
        at = f" at x{scale:g}" if scale else ""
        network = method.name.partition("@")[0]
        notes[f"{network}: there are no SR images of {name}{at}."] = None


def _protocols(
    images: StoredImages, dataset: Dataset, protocol: str | None, notes: dict[str, None]
) -> list[str]:
    from harness.data.degrade import PAIRED
    from harness.metrics import find

    if images.bits == {8} and protocol is None:
        # The protocol of published values of such images; elsewhere there is no such custom.
        protocol = "basicsr" if dataset.protocol == "benchmark" else None
        notes[_EIGHT_BITS] = None
    if images.bits - {8} and protocol is None and images.bits & {8}:
        raise HarnessError(
            f"The SR images of {images.images.network} have 8 bits and more, mixed.",
            "Say with --protocol how all are scored.",
        )
    found = protocols_for(protocol, dataset, images.scale, notes)
    for rule in map(find, found):
        if rule.lr != PAIRED or rule.ensemble > 1 or rule.tile:
            notes[f"{rule.name}: {_READY}"] = None
    return found


_READY = (
    "SR images are scored as they are; of which LR images, in which tiles and rotations they were "
    "made, as this protocol says too, is the other program's."
)
_INSTEAD = {
    "images": "has SR images only",
    "onnx": "names another",
    "command": "names another",
}
_GIVEN = ("images", "onnx", "command", "time_limit", "pattern", "multiple", "values", "colours")
_EIGHT_BITS = (
    "SR images of 8 bits are rounded, which costs 0.003 (x4) to 0.015 dB (x2) against LIIF's "
    "unrounded SR; compare them with values of the same protocol."
)


def outside_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of outside methods, which the command gets as one `outside`."""

    @click.option(
        "--images",
        type=FOLDER,
        metavar="DIR",
        help="SR images of another program: PNG of 8 or 16 bits, or .npy; in folders for networks, "
        "scales (x4) and datasets, with the HR image's name in each file's name.",
    )
    @click.option(
        "--pattern",
        default="",
        metavar="TEXT",
        help="Form of the names of --images where they are not understood, as in "
        "'{name}_x{scale}_SR'; * for anything.",
    )
    @click.option(
        "--values",
        type=click.Choice(["unit", "signed", "bytes"]),
        help="Range of floating point values: [0, 1] (default), [-1, 1] or [0, 255].",
    )
    @click.option(
        "--onnx",
        type=FILE,
        metavar="FILE",
        help="A network in an ONNX file, with an image and at most a scale or an output size as "
        "inputs (extra onnx).",
    )
    @click.option(
        "--command",
        default="",
        metavar="TEXT",
        help="A program, run for each image: 'mysr --in {lr} --out {sr} --scale {scale}'; {npy} "
        "in place of {sr} for an array, {height} and {width} for the size of SR.",
    )
    @click.option(
        "--time-limit",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="What an image may take in --command.  [default: 600]",
    )
    @click.option(
        "--colours",
        type=click.Choice(["rgb", "bgr"]),
        help="Order of the channels of --onnx. Default: the file's metadata, or rgb.",
    )
    @click.option(
        "--multiple",
        type=click.IntRange(1, 1024),
        metavar="N",
        help="Mirror LR images of --onnx up to a multiple of N. Default: the metadata, or 1.",
    )
    @wraps(function)
    def command(**given: Any) -> Any:
        own = {name: given.pop(name) for name in _GIVEN}
        return function(outside=_entry({k: v for k, v in own.items() if v}), **given)

    return command


def _entry(given: dict[str, Any]) -> Entry | None:
    """Make an entry of the options that were given; None where there are none."""
    from harness.outside.entries import OPTIONS, read_entry

    if given and not given.keys() & _INSTEAD.keys():
        option = next(iter(given))
        listed = " or ".join(f"--{source}" for source in OPTIONS[option])
        spelt = option.replace("_", "-")
        raise UsageError(f"--{spelt} belongs to another option. Add {listed}.")
    return read_entry(given, "The options") if given else None
