"""Options that several commands share, what they mean together, and printing."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, is_dataclass
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness import DEFAULT_PROFILE
from harness.common.errors import HarnessError
from harness.common.escaping import printable

if TYPE_CHECKING:
    import torch

    from harness.checkpoints.subject import Subject
    from harness.data.sets import Dataset
    from harness.profiles import Profile
    from harness.profiles.places import Places

T = TypeVar("T")


class _There(click.Path):
    """Path of a file that must be there, or the name of a shipped network.

    It is looked for before torch is imported, which takes seconds.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; HarnessError where there is no such file."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not (str(path).startswith("reference:") or path.exists()):
            of = f" of {param.opts[0]}" if isinstance(param, click.Option) else ""
            raise HarnessError(f"There is no file {path}.", f"Check the path{of}.")
        return path


FILE = click.Path(path_type=Path, dir_okay=False)
INPUT = _There(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


# Types of options, called with what was typed


def scale_factor(value: str) -> float:
    """Parse a scale factor: a number from 1 to 1000; `x4` is 4."""
    try:
        scale = float(str(value).removeprefix("x"))
    except ValueError:
        raise click.BadParameter(f"'{value}' is no number.") from None
    if not 1 <= scale <= 1000:
        raise click.BadParameter(f"{value} is out of range; a scale is a number from 1 to 1000.")
    return scale


EITHER_ORDER = "h720xw1280 and w1280xh720 say which is which."


def pixels(text: str, order: str = "hw") -> tuple[int, int]:
    """Parse (h, w) of two numbers in an order, or of sides that are named.

    Args:
        text: what was typed.
        order: "hw" for `HEIGHTxWIDTH`, "wh" for `WIDTHxHEIGHT`.

    Example:
        >>> pixels("720x1280"), pixels("1280x720", "wh"), pixels("w1280xh720")
        ((720, 1280), (720, 1280), (720, 1280))
    """
    found = re.fullmatch(r"([hw]?)(-?\d+)x([hw]?)(-?\d+)", text.strip().lower())
    sides = found and (found[1] + found[3] or order)
    if found is None or sides not in ("hw", "wh"):
        form = "HEIGHTxWIDTH" if order == "hw" else "WIDTHxHEIGHT"
        raise click.BadParameter(f"it takes {form}; '{text}' is no {form}. {EITHER_ORDER}")
    first, second = int(found[2]), int(found[4])
    if min(first, second) < 1:
        raise click.BadParameter("it needs at least one pixel per side.")
    return (first, second) if sides == "hw" else (second, first)


def named(what: str) -> Callable[[str], str]:
    """Make the parser of a name or of the path of a YAML file, which must be there.

    It is looked for before torch is imported, as by `INPUT`; `what` it should hold is for messages.
    """

    def parsed(text: str) -> str:
        from harness.common.yaml_files import SUFFIXES, read_text

        if text.endswith(SUFFIXES) and not Path(text).exists():
            read_text(Path(text), what)
        return text

    return parsed


def listed(kind: Callable[[str], T]) -> Callable[[str], list[T]]:
    """Make the parser of `A,B`, each part parsed by `kind`; none of an empty text.

    Example:
        >>> listed(scale_factor)("x2, 3.5,")
        [2.0, 3.5]
    """

    def parts(text: str) -> list[T]:
        found = [part.strip() for part in text.split(",") if part.strip()]
        if text and not found:
            raise click.BadParameter(f"'{text}' lists nothing.")
        return [kind(part) for part in found]

    return parts


# Options

checkpoint_option = click.option(
    "--checkpoint",
    type=INPUT,
    metavar="FILE|reference:NAME",
    help="Ours, an official one (see import-checkpoint), or a shipped network (see methods). "
    "Default: METHOD's under the profile.",
)
_data_root = partial(
    click.option,
    "--data-root",
    type=FOLDER,
    envvar="HARNESS_DATA",
    metavar="DIR",
    help="Folder that holds benchmark/, DIV2K/ and train/ (also: HARNESS_DATA).",
)
data_root_option, needs_data_root = _data_root(), _data_root(required=True)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda or cuda:N; auto takes CUDA where there is one.",
)
json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=lambda context, _, value: context.meta.update(json=value),
    help="Print JSON on standard output instead of a table.",
)
datasets_option = click.option(
    "--dataset", "names", multiple=True, required=True, help="Several by repeating."
)
scales_option = partial(click.option, "--scale", "scales", type=scale_factor, multiple=True)
protocol_option = click.option(
    "--protocol",
    help="liif, basicsr, matlab, gsasr, ciaosr, thera or ntire-esr; or one of LIIF's: benchmark, "
    "div2k, full. Default: the dataset's own of LIIF's.",
)
# Of commands that write one file (`harness.common.files.check_output`).
force_option = click.option("--force", is_flag=True, help="Replace OUT if it is there.")
no_figures_option = click.option("--no-figures", is_flag=True, help="Write tables only.")
field_option = click.option(
    "--field",
    is_flag=True,
    help="Also show published rows of other papers, where their protocol is the same.",
)
methods_option = partial(click.option, "--methods", metavar="A,B", default="", type=listed(str))


def together(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Make one decorator of the options that belong together, in the order of the help."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return add


rendering_options = together(
    click.option(
        "--cmsr",
        type=FILE,  # that a network has no use for tables is said first
        metavar="TABLES",
        help="Render the weakly modulated pixels of an LMF network at lower scales, by the tables "
        "of `harness cmsr`; above x4, and another measurement.",
    ),
    click.option(
        "--foreign-tables",
        is_flag=True,
        help="Take TABLES that were made for other weights; said wherever numbers are.",
    ),
    click.option(
        "--budget",
        type=click.FloatRange(0, min_open=True),
        metavar="SHARE",
        help="Choose MoEISR's experts so that the decoder takes this share of its baseline's MACs "
        "on each image; another measurement.",
    ),
)


_SETUP = {
    "profile": click.option(
        "--profile",
        type=named("profile"),
        default=DEFAULT_PROFILE,
        show_default=True,
        metavar="NAME|FILE",
        help="quick, reference, bsds, paper, sizes, or the path of a .yaml file.",
    ),
    "precision": click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16", "fp16"]),
        help="Of the network's products; not fp32 is another measurement. Default: the profile's.",
    ),
    "data_root": data_root_option,
    "device": device_option,
    "results": click.option(
        "--results",
        type=FOLDER,
        default=Path("results"),
        show_default=True,
        metavar="DIR",
        help="Folder of checkpoints and measurements.",
    ),
    "reports": click.option(
        "--reports",
        type=FOLDER,
        metavar="DIR",
        help="Folder of tables and figures.  [default: reports, or reports/PROFILE if not "
        f"{DEFAULT_PROFILE}]",
    ),
}


class Setup:
    """Profile, folders and device that options name; each looked up when it is asked for.

    Args:
        given: values of options, by the names of `with_setup`; others have their defaults.
    """

    def __init__(self, **given: Any) -> None:
        self._given = given

    @cached_property
    def profile(self) -> Profile:
        """The profile of `--profile`, at `--precision`."""
        from harness import profiles

        return profiles.load(self._given["profile"]).at_precision(self._given.get("precision"))

    @cached_property
    def places(self) -> Places:
        """Folders of data, results and reports; without `--profile`, of no profile."""
        from harness.profiles import places

        root, results, reports = map(self._given.get, ("data_root", "results", "reports"))
        profile = self.profile if "profile" in self._given else None
        return places.resolve(root, results, reports, profile)

    @cached_property
    def device(self) -> torch.device:
        """The device of `--device`."""
        from harness.common import device

        return device.resolve(self._given["device"])

    def dataset(self, name: str) -> Dataset:
        """A dataset below the data root."""
        from harness.data.sets import find

        return find(name, self.places.data_root)

    def subject(
        self, method: str | None, checkpoint: Path | None, budget: float | None = None
    ) -> Subject:
        """The network of a checkpoint, or a method's own; with experts within a budget."""
        from harness.checkpoints.trained import find_subject, with_budget

        if budget is not None:
            method = with_budget(method, checkpoint, budget)
        return find_subject(method, checkpoint, self.profile, self.places, self.device)

    def named(self, name: str) -> tuple[Subject, str]:
        """The network of a checkpoint or of a method under the profile, and its file ("": none)."""
        from harness.checkpoints import reference
        from harness.checkpoints.trained import trained_checkpoint

        path = Path(name)
        if reference.is_shipped(name) or path.suffix or path.exists():
            return self.subject(None, path), name
        subject = self.subject(name, None)
        if not subject.weights:
            return subject, ""
        return subject, str(trained_checkpoint(name, self.profile, self.places))


def gathered(
    into: str, make: Callable[[dict[str, Any]], Any], options: Mapping[str, Callable[..., Any]]
) -> Callable[..., Any]:
    """Make one decorator of options by name; the command gets what is made of all as one object."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(**given: Any) -> Any:
            own = {name: given.pop(name) for name in options}
            return function(**{into: make(own)}, **given)

        added: Callable[..., Any] = together(*options.values())(command)
        return added

    return decorate


def with_setup(*names: str) -> Callable[..., Any]:
    """Give a command options of profile, folders and device, which it gets as one `setup`."""
    return gathered("setup", lambda own: Setup(**own), {name: _SETUP[name] for name in names})


# Printing


def echo(text: object, err: bool = False) -> None:
    """Print a line or more on standard output (`err`: standard error), control characters escaped.

    Names, origins and reasons come from files that others made.
    """
    click.echo(printable(str(text)), err=err)  # noqa: TID251


def as_json() -> bool:
    """Tell whether the command that runs is to print JSON (`--json`)."""
    return bool(click.get_current_context().meta.get("json"))


def show(content: Any, text: object) -> None:
    """Print a result in words, or as JSON: dataclasses and paths, too."""
    echo(json.dumps(_plain(content), indent=1, allow_nan=False) if as_json() else text)


def table(rows: Iterable[Mapping[str, Any]], **options: Any) -> str:
    """Write rows of the same columns for the terminal; text that looks like a number stays so."""
    from tabulate import tabulate

    asked = {"headers": "keys", "tablefmt": "simple", "disable_numparse": True, **options}
    return str(tabulate(list(rows), **asked))


def _plain(content: Any) -> Any:
    """Make what JSON can hold: infinite PSNR, which it has no number for, is text."""
    if is_dataclass(content) and not isinstance(content, type):
        content = asdict(content)
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, Path) or (isinstance(content, float) and not math.isfinite(content)):
        return str(content)
    return content
