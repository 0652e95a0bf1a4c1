"""Options of methods from outside, and what is measured of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import click

from harness.commands.options import FOLDER, INPUT, gathered
from harness.commands.wanted import Wanted
from harness.common.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.commands.wanted import Unit
    from harness.outside.entries import Entry
    from harness.outside.images import StoredImages


def refuse(outside: Entry, **given: object) -> None:
    """Refuse options that need a network of the harness."""
    for name, value in given.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            other = f"--{outside.kind} {_INSTEAD[outside.kind]}"
            raise UsageError(f"{option} needs a network of ours; {other}.")


def units_of_images(wanted: Wanted, outside: Entry) -> Iterator[Unit]:
    """List what is to be measured of SR images; it is noted how they are scored, and what lacks."""
    from harness.checkpoints.subject import ready_subjects
    from harness.data.degrade import PAIRED

    methods, said = outside.open(wanted.sets, wanted.scales)
    wanted.notes.update(dict.fromkeys(said))
    for method in methods:
        missing = {(name, scale) for name in wanted.sets for scale in wanted.scales or [0]}
        for subject in ready_subjects(method.name):
            images = cast("StoredImages", subject.model)
            missing -= {(images.dataset, images.scale), (images.dataset, 0)}
            protocol = None if wanted.protocol else _protocol(images, wanted)
            for unit in wanted.at(subject, images.dataset, images.scale, protocol):
                rule = unit[1].rule
                if rule.lr != PAIRED or rule.ensemble > 1 or rule.tile:
                    wanted.notes[f"{rule.name}: {_READY}"] = None
                yield unit
        for name, scale in sorted(missing):
            at = f" at x{scale:g}" if scale else ""
            network = method.name.partition("@")[0]
            wanted.notes[f"{network}: there are no SR images of {name}{at}."] = None


def _protocol(images: StoredImages, wanted: Wanted) -> str | None:
    """Choose the protocol of published values of images of 8 bits; elsewhere there is no custom."""
    if images.bits == {8}:
        wanted.notes[_EIGHT_BITS] = None
        return "basicsr" if wanted.sets[images.dataset].protocol == "benchmark" else None
    if 8 in images.bits:
        raise HarnessError(
            f"The SR images of {images.images.network} have 8 bits and more, mixed.",
            "Say with --protocol how all are scored.",
        )
    return None


_READY = (
    "SR images are scored as they are; of which LR images, in which tiles and rotations they were "
    "made, as this protocol says too, is the other program's."
)
_INSTEAD = {"images": "has SR images only", "onnx": "names another", "command": "names another"}
_EIGHT_BITS = (
    "SR images of 8 bits are rounded, which costs 0.003 (x4) to 0.015 dB (x2) against LIIF's "
    "unrounded SR; compare them with values of the same protocol."
)


def _entry(given: dict[str, Any]) -> Entry | None:
    """Make an entry of the options that were given; None where there are none."""
    from harness.outside.entries import OPTIONS, read_entry

    given = {name: value for name, value in given.items() if value}
    if given and not given.keys() & _INSTEAD.keys():
        option = next(iter(given))
        listed = " or ".join(f"--{source}" for source in OPTIONS[option])
        spelt = option.replace("_", "-")
        raise UsageError(f"--{spelt} belongs to another option. Add {listed}.")
    return read_entry(given, "The options") if given else None


outside_options = gathered(
    "outside",
    _entry,
    {
        "images": click.option(
            "--images",
            type=FOLDER,
            metavar="DIR",
            help="SR images of another program: PNG of 8 or 16 bits, or .npy; in folders for "
            "networks, scales (x4) and datasets, with the HR image's name in each file's name.",
        ),
        "pattern": click.option(
            "--pattern",
            default="",
            metavar="TEXT",
            help="Form of the names of --images where they are not understood, as in "
            "'{name}_x{scale}_SR'; * for anything.",
        ),
        "values": click.option(
            "--values",
            type=click.Choice(["unit", "signed", "bytes"]),
            help="Range of floating point values: [0, 1] (default), [-1, 1] or [0, 255].",
        ),
        "onnx": click.option(
            "--onnx",
            type=INPUT,
            metavar="FILE",
            help="A network in an ONNX file, with an image and at most a scale or an output "
            "size as inputs (extra onnx).",
        ),
        "command": click.option(
            "--command",
            default="",
            metavar="TEXT",
            help="A program, run for each image: 'mysr --in {lr} --out {sr} --scale {scale}'; "
            "{npy} in place of {sr} for an array, {height} and {width} for the size of SR.",
        ),
        "time_limit": click.option(
            "--time-limit",
            type=click.FloatRange(0, min_open=True),
            metavar="SECONDS",
            help="What an image may take in --command.  [default: 600]",
        ),
        "colours": click.option(
            "--colours",
            type=click.Choice(["rgb", "bgr"]),
            help="Order of the channels of --onnx. Default: the file's metadata, or rgb.",
        ),
        "multiple": click.option(
            "--multiple",
            type=click.IntRange(1, 1024),
            metavar="N",
            help="Mirror LR images of --onnx up to a multiple of N. Default: the metadata, or 1.",
        ),
    },
)
