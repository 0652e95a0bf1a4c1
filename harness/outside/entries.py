"""Methods as users name them: in `--with`, in experiments as files, and in options of `eval`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from baselines import Method, parse
from baselines.registry import UnknownMethodError
from harness.common.errors import UsageError
from harness.common.yaml_files import key_problems, parse_keys
from harness.data.sets import Dataset
from harness.outside.command import CommandModel
from harness.outside.images import open_images
from harness.outside.methods import Kind, Opened, Outside, Values, add_method
from harness.outside.onnx_model import Colours, OnnxModel, Reading
from harness.profiles.sections import Strict

TIME_LIMIT = 600.0
"""Seconds that a program may take for an image, where nothing else is said."""
_KINDS: tuple[Kind, ...] = ("images", "onnx", "command")
_SOURCES = ("method", *_KINDS)
OPTIONS = {
    "name": ("images", "onnx", "command"),
    "label": ("images", "onnx", "command"),
    "pattern": ("images",),
    "values": ("images", "onnx", "command"),
    "colours": ("onnx",),
    "multiple": ("onnx",),
    "time_limit": ("command",),
}
"""Options, and the sources that they belong to."""
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][\w.+-]*)=(?P<rest>.+)", re.DOTALL)


class Entry(Strict):
    """One method of ours or of others: exactly one of `method`, `images`, `onnx` and `command`.

    Attributes:
        method: name of a registered method, or a pattern (`edsr-lm*`).
        images: folder with SR images of another program.
        onnx: file of a network.
        command: program that is run for each image, with places in braces.
        name: name of a method from outside; its kind is added.
        label: its name in tables.
        pattern: form of the names of image files, where they are not understood.
        values: range of floating point values.
        colours: order of the channels of a network.
        multiple: number that its LR images are mirrored up to a multiple of.
        time_limit: seconds that a program may take for an image.
    """

    method: str = ""
    images: Path | None = None
    onnx: Path | None = None
    command: str = ""
    name: str = ""
    label: str = ""
    pattern: str = ""
    values: Values | None = None
    colours: Colours | None = None
    multiple: int | None = Field(default=None, ge=1, le=1024)
    time_limit: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_source(self) -> Entry:
        given = [source for source in _SOURCES if getattr(self, source)]
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} name two methods. Leave one out")
        if not given:
            raise ValueError(f"it names no method. Add one of {', '.join(_SOURCES)}")
        for option, sources in OPTIONS.items():
            if getattr(self, option) and given[0] not in sources:
                raise ValueError(f"{option} belongs to {' or '.join(sources)}, not to {given[0]}")
        return self

    @property
    def kind(self) -> Kind:
        """Kind of a method from outside: the attribute that says where it is."""
        return next(kind for kind in _KINDS if getattr(self, kind))

    @property
    def title(self) -> str:
        """Name for messages, and of its row where it cannot be opened."""
        if self.name or self.method:
            return self.name or self.method
        if self.command:
            return Path(shlex.split(self.command)[0]).stem
        path = self.onnx or self.images or Path()
        return path.stem if self.onnx else path.name or path.absolute().name

    def below(self, folder: Path) -> Entry:
        """Return it with its paths taken from a folder."""
        given = {name: getattr(self, name) for name in ("images", "onnx")}
        return self.model_copy(update={n: folder / path for n, path in given.items() if path})

    def open(
        self, sets: Mapping[str, Dataset], scales: Sequence[float]
    ) -> tuple[list[Method], list[str]]:
        """Make a method from outside a method like all others, or several.

        Args:
            sets: datasets that they are measured on, by name.
            scales: scales that they are measured at.

        Returns:
            The methods, and notes on files that are left out.

        Raises:
            UsageError: it makes no sense; the run should not start.
            HarnessError: it cannot be opened; says why.
        """
        if self.images:
            return open_images(
                self.images,
                sets,
                scales,
                name=self.name or None,
                label=self.label,
                pattern=self.pattern,
                kind=self.values or "unit",
            )
        make: Callable[[], Outside]
        if self.onnx:
            given = {name: getattr(self, name) for name in Reading.model_fields}
            make = partial(OnnxModel, self.onnx, **given)
        else:
            limit = self.time_limit or TIME_LIMIT
            make = partial(CommandModel, self.command, limit, self.values)
        opened = Opened(make)
        own = opened.model.scales
        return [add_method(self.title, self.kind, opened, label=self.label, scales=own)], []


def is_method(name: str) -> bool:
    """Tell whether a method is registered under a name, with or without a suffix."""
    try:
        return bool(parse(name))
    except UnknownMethodError:
        return False


def read_entry(content: str | Mapping[str, Any], where: str) -> Entry:
    """Read an entry: a method's name, text as of `--with`, or keys of `Entry`.

    Text is a method's name, FILE.onnx, the folder of SR images, or a command with {lr} in it; in
    front of it there may be `NAME=`. In braces it is an entry with keys: `{onnx: net.onnx, values:
    signed}`. `where` it stands is for messages of UsageError.
    """
    if isinstance(content, str):
        content = _of_text(content.strip(), where)
    try:
        return Entry.model_validate(content)
    except ValidationError as error:
        said = (each.removesuffix(".") for each in key_problems(error, Entry))
        raise UsageError(f"{where}: {'; '.join(said)}.") from error


def _of_text(text: str, where: str) -> Mapping[str, Any]:
    if not text:
        raise UsageError(f"{where} names no method.")
    if text.startswith("{") and not text.startswith("{lr}"):
        return parse_keys(text, f"{where}: '{text}'", "method")
    named = None if is_method(text) else _NAMED.fullmatch(text)
    name, rest = (named["name"], named["rest"]) if named else ("", text)
    if "{lr}" in rest:
        return {"command": rest, "name": name}
    if rest.lower().endswith(".onnx"):
        return {"onnx": rest, "name": name}
    if "/" in rest or Path(rest).is_dir():
        return {"images": rest, "name": name}
    if named:
        raise UsageError(
            f"{where}: {rest} is neither a FILE.onnx, a folder of SR images nor a command with "
            "{lr} in it, and a method of the harness has its own name."
        )
    return {"method": rest}
