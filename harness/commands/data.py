"""`harness data`: get image sets, look after them, make their LR images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import data_root_option, echo, json_option, print_json, scale_factor

if TYPE_CHECKING:
    from harness.data.checking import Checked
    from harness.data.preparing import Outcome


@click.group(
    epilog="Example: harness data fetch Set5 Set14 --data-root ~/data",
    no_args_is_help=True,
)
def data() -> None:
    """Datasets: what there is, downloads, checks, and LR images.

    Every dataset lies at its place below the data root (--data-root or HARNESS_DATA), in the
    layout that LIIF and EDSR users have.
    """


def _root(data_root: Path | None) -> Path:
    """The data root, which these commands cannot do without."""
    from harness import places
    from harness.errors import UsageError

    root = places.resolve(data_root).data_root
    if root is None:
        raise UsageError("Name the data root.", "Use --data-root DIR or set HARNESS_DATA.")
    return root


# list


@data.command("list", epilog="Example: harness data list --data-root ~/data")
@data_root_option
@json_option
def list_datasets(data_root: Path | None, as_json: bool) -> None:
    """What there is, what is here, how to get it.

    Images are counted, not read; `verify` reads them.
    """
    from harness import places
    from harness.data.listing import describe

    root = places.resolve(data_root).data_root
    lines = describe(root)
    if as_json:
        print_json({"data_root": None if root is None else str(root), "datasets": lines})
        return
    echo(f"data root: {root or 'none named (--data-root DIR or HARNESS_DATA)'}\n")
    _print_list(lines)


def _print_list(lines: list[dict[str, Any]]) -> None:
    from tabulate import tabulate

    table = [
        {
            "dataset": line["dataset"],
            "state": line["state"],
            "images": "-" if line["images"] is None else f"{line['images']}/{line['expected']}",
            "LR images": ", ".join(_lr_text(lr) for lr in line["lr"]) or "-",
            "what it is": line["description"],
        }
        for line in lines
    ]
    echo(tabulate(table, headers="keys", tablefmt="simple"))
    echo("")
    for line in lines:
        if line["state"] not in ("complete", "built in"):
            size = f" ({line['download_bytes'] / 2**20:,.0f} MiB)" if line["download_bytes"] else ""
            echo(f"{line['dataset']}{size}: {line['how_to_get']}")


def _lr_text(lr: dict[str, Any]) -> str:
    return f"{lr['scale']} ({lr['images']}{', prepared' if lr['kind'] == 'prepared' else ''})"


# fetch


@data.command(
    epilog="Example: harness data fetch Set5 Set14 B100 Urban100 --data-root ~/data",
    no_args_is_help=True,
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@data_root_option
@click.option(
    "--mirror",
    metavar="URL|DIR|FILE",
    help="Take archives from there; used only if their hash is the published one.",
)
@click.option("--keep-archive", is_flag=True, help="Keep archives in DIR/.harness-data.")
def fetch(
    names: tuple[str, ...], data_root: Path | None, mirror: str | None, keep_archive: bool
) -> None:
    """Download datasets and put them in place.

    Archives come from the authors' sites. A download that was cut goes on where it was. Archives
    must have the published hash; images are unpacked elsewhere, opened, and then moved into place
    as a whole. What is there already is never overwritten. Name the sets of one archive (Set5,
    Set14, B100, Urban100) in one command to download it once. The sets have terms of their own:
    see docs/data.md.
    """
    from harness.data import fetching
    from harness.errors import InterruptedWorkError

    root = _root(data_root)
    try:
        filled = fetching.fetch(names, root, mirror, keep_archive)
    except KeyboardInterrupt:
        raise InterruptedWorkError(
            "Stopped. What was downloaded is kept; the same command goes on from there."
        ) from None
    for folder in filled:
        echo(folder)
    if not filled:
        echo(f"Complete already: {', '.join(names)}. `harness data verify` looks at them.")


# verify


@data.command(epilog="Example: harness data verify Set5 Set14 --data-root ~/data")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@data_root_option
@click.option(
    "--no-resize",
    is_flag=True,
    help="Do not compare LR images with the resize of HR (a second or so per large image).",
)
@json_option
def verify(names: tuple[str, ...], data_root: Path | None, no_resize: bool, as_json: bool) -> int:
    """Find missing, damaged, altered or wrong images.

    Status 1 if there are any. Without NAME, every dataset of which something is below the data
    root.
    """
    from harness.data.sets import SPECS, check_name
    from harness.errors import HarnessError, UsageError

    root = _root(data_root)
    for name in names:
        if SPECS[check_name(name)].layout is None:
            raise UsageError(f"{name} is part of an installed package; it has no files to verify.")
    results = _verify(names, root, resize=not no_resize)
    if not results:
        raise HarnessError(
            f"There is no dataset below {root}.", "`harness data list` says where they belong."
        )
    if as_json:
        print_json({"data_root": str(root), "datasets": [_as_json(each) for each in results]})
    else:
        _print_checked(results)
    return 1 if any(each.count("problem") for each in results) else 0


def _verify(names: tuple[str, ...], root: Path, resize: bool) -> list[Checked]:
    from harness.data import checking
    from harness.data.sets import SPECS
    from harness.progress import bar

    results = []
    for name in dict.fromkeys(names) or checking.present(root):
        layout = SPECS[name].layout
        with bar(f"verify {name}", layout.expected if layout else 0) as progress:
            results.append(checking.check(name, root, resize, progress.advance))
    return results


def _as_json(result: Checked) -> dict[str, Any]:
    return {
        "dataset": result.dataset,
        "folder": str(result.folder),
        "images": result.images,
        "expected": result.expected,
        "lr": result.lr,
        "findings": [
            {"level": f.level, "path": str(f.path), "what": f.what, "remedy": f.remedy}
            for f in result.findings
        ],
    }


def _print_checked(results: list[Checked]) -> None:
    from tabulate import tabulate

    table = [
        {
            "dataset": each.dataset,
            "images": f"{each.images}/{each.expected}",
            "LR folders": ", ".join(f"{k} ({v})" for k, v in each.lr.items()) or "-",
            "problems": each.count("problem"),
            "notes": each.count("note"),
        }
        for each in results
    ]
    echo(tabulate(table, headers="keys", tablefmt="simple"))
    for each in results:
        for finding in each.findings:
            remedy = f" {finding.remedy}" if finding.remedy else ""
            echo(f"{finding.level}: {finding.path} {finding.what}.{remedy}")


# prepare


@data.command(
    epilog="Example: harness data prepare B100 Urban100 --scale 2 --scale 3.5 --data-root ~/data",
    no_args_is_help=True,
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--scale",
    "scales",
    type=scale_factor,
    multiple=True,
    required=True,
    help="Several by repeating.",
)
@data_root_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write below this folder instead of the data root.",
)
@click.option("--force", is_flag=True, help="Replace prepared files that are wrong.")
def prepare(
    names: tuple[str, ...],
    scales: tuple[float, ...],
    data_root: Path | None,
    out: Path | None,
    force: bool,
) -> int:
    """Make LR images at any scale.

    They are made by the MATLAB-compatible resize, in LR_bicubic/X<scale>. The folders carry a
    mark: measurements use their images at x2, x3 and x4 and call them `matlab`, never `official`.
    A dataset's own LR images are left as they are.
    """
    from harness.data import preparing
    from harness.data.sets import SPECS
    from harness.progress import bar

    root = _root(data_root)
    for name in names:  # all names before any work
        preparing.lr_folder(name, 2, root)
    outcomes = []
    for name in dict.fromkeys(names):
        layout = SPECS[name].layout
        for scale in dict.fromkeys(scales):
            with bar(f"prepare {name} x{scale:g}", layout.expected if layout else 0) as progress:
                outcomes.append(preparing.prepare(name, scale, root, out, force, progress.advance))
            _print_outcome(outcomes[-1])
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


def _print_outcome(outcome: Outcome) -> None:
    if outcome.own:
        echo(f"{outcome.folder}: the dataset's own LR images, left as they are")
        return
    echo(f"{outcome.folder}: {outcome.made} made, {outcome.kept} kept")
    if outcome.too_small:
        echo(f"  no LR pixel at this scale: {', '.join(outcome.too_small)}")
    for path in outcome.wrong:
        echo(f"  {path} is not what would be made; --force replaces it")
