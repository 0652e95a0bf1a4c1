"""Options of methods from outside, and what is measured of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from harness.commands.cases import Case, Plan, protocols_for
from harness.commands.options import FILE, FOLDER, Setup
from harness.common.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.checkpoints.subject import Subject
    from harness.data.sets import Dataset
    from harness.outside.images import Values


@dataclass(frozen=True)
class Outside:
    """Values of the options."""

    images: Path | None
    onnx: Path | None
    command: str
    time_limit: float | None
    pattern: str
    values: str
    colours: str
    multiple: int | None

    @property
    def kind(self) -> str:
        """The option that names the method; "" where there is none.

        Raises:
            UsageError: there are several, or options that belong to another.
        """
        given = [kind for kind in _INSTEAD if getattr(self, kind)]
        if len(given) > 1:
            raise UsageError(f"--{given[0]} and --{given[1]} name two methods. Leave one out.")
        kind = given[0] if given else ""
        for option, kinds in _OF.items():
            if getattr(self, option) and kind not in kinds:
                needed = " or ".join(f"--{other}" for other in kinds)
                spelt = option.replace("_", "-")
                raise UsageError(f"--{spelt} belongs to another option. Add {needed}.")
        return kind

    def subject(self, name: str | None) -> Subject:
        """The network of `--onnx`, or the program of `--command`."""
        if self.onnx is None:
            from harness.outside.command import open_command

            limit = self.time_limit or _TIME_LIMIT
            return open_command(self.command, name, limit, cast("Values | None", self.values))
        from harness.outside.onnx_model import Reading, open_onnx

        reading: Any = (self.values or None, self.colours or None, self.multiple)
        return open_onnx(self.onnx, name, Reading(*reading))

    def refuse(self, **given: object) -> None:
        """Refuse options that need a network of the harness."""
        for name, value in given.items():
            if value is not None:
                option = f"--{name.replace('_', '-')}"
                other = f"--{self.kind} {_INSTEAD[self.kind]}"
                raise UsageError(f"{option} needs a network of ours; {other}.")

    def image_plan(
        self,
        setup: Setup,
        name: str | None,
        datasets: Sequence[str],
        scales: Sequence[float],
        protocol: str | None,
    ) -> Plan:
        """Plan what is to be measured of SR images.

        Their network has the name that is given, or those of the folders.

        Raises:
            HarnessError: no image is found, or it is not clear which is which.
        """
        from harness.outside.layout import find_images

        assert self.images is not None
        sets = {asked: setup.dataset(asked) for asked in dict.fromkeys(datasets)}
        stems = {asked: [item.name for item in found.items] for asked, found in sets.items()}
        found = find_images(self.images, stems, list(scales), self.pattern)
        networks = sorted({images.network for images in found.images})
        if name and len(networks) > 1:
            raise UsageError(
                f"{self.images} has images of several networks ({', '.join(networks)}), "
                f"and {name} cannot name all. Leave it out, or name one of the folders."
            )
        notes = dict.fromkeys(found.notes)
        cases = []
        for images in found.images:
            cases += self._cases(images, name, sets[images.dataset], protocol, notes)
        for network in networks:
            there = {(i.dataset, i.scale) for i in found.images if i.network == network}
            for asked in sets:
                for scale in scales or [0]:
                    if not any(d == asked and scale in (0, s) for d, s in there):
                        at = f" at x{scale:g}" if scale else ""
                        notes[f"{network}: there are no SR images of {asked}{at}."] = None
        return Plan(tuple(cases), tuple(notes))

    def _cases(
        self,
        images: Any,
        name: str | None,
        dataset: Dataset,
        protocol: str | None,
        notes: dict[str, None],
    ) -> list[Case]:
        from dataclasses import replace

        from harness.outside.images import open_images

        items = {item.name: item for item in dataset.items}

        def is_grey(image: str) -> bool:
            pixels = items[image].load()
            return bool((pixels == pixels[:1]).all())

        named = replace(images, network=name) if name else images
        opened = open_images(named, list(items), is_grey, cast("Values", self.values or "unit"))
        eight_bits = opened.bits == {8}
        if eight_bits and protocol is None:
            # The protocol of published values of such images; elsewhere there is no such custom.
            protocol = "basicsr" if dataset.protocol == "benchmark" else None
            notes[_EIGHT_BITS] = None
        if opened.bits - {8} and protocol is None and opened.bits & {8}:
            raise HarnessError(
                f"The SR images of {images.network} have 8 bits and more, mixed.",
                "Say with --protocol how all are scored.",
            )
        rules = protocols_for(protocol, dataset, images.scale, notes)
        return [Case(opened.subject, dataset.name, images.scale, rule) for rule in rules]


_OF = {
    "pattern": ("images",),
    "values": ("images", "onnx", "command"),
    "colours": ("onnx",),
    "multiple": ("onnx",),
    "time_limit": ("command",),
}
_INSTEAD = {
    "images": "has SR images only",
    "onnx": "names another",
    "command": "names another",
}
_TIME_LIMIT = 600.0
_GIVEN = ("images", "onnx", "command", "time_limit", "pattern", "multiple")
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
        own |= {name: given.pop(name) or "" for name in ("values", "colours")}
        return function(outside=Outside(**own), **given)

    return command
