"""`harness data`: get image sets, look after them, make their LR images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from harness.commands import options
from harness.common.errors import HarnessError, InterruptedWorkError, UsageError


@click.group(
    epilog="Example: harness data fetch Set5 Set14 --data-root ~/data", no_args_is_help=True
)
def data() -> None:
    """Datasets: what there is, downloads, checks, and LR images.

    Every dataset lies at its place below the data root (--data-root or HARNESS_DATA), in the
    layout that LIIF and EDSR users have.
    """


@data.command("list", epilog="Example: harness data list --data-root ~/data")
@options.data_root_option
@options.json_option
def list_datasets(data_root: Path | None) -> None:
    """List every dataset: what is here, and how to get the rest.

    Images are counted, not read; `verify` reads them.
    """
    from harness.data.sets import SPECS
    from harness.data.verify import describe

    lines = [describe(spec, data_root) for spec in SPECS.values()]
    rows, missing = [], []
    for line in lines:
        lr = (f"{each['scale']} ({each['images']} {each['kind']})" for each in line["lr"])
        rows.append(
            {
                "dataset": line["dataset"],
                "state": line["state"],
                "images": "-" if line["images"] is None else f"{line['images']}/{line['expected']}",
                "LR images": ", ".join(lr),
                "what it is": line["description"],
            }
        )
        if line["state"] not in ("complete", "built in"):
            size = f" ({line['download_bytes'] / 2**20:,.0f} MiB)" if line["download_bytes"] else ""
            missing.append(f"{line['dataset']}{size}: {line['how_to_get']}")
    root = f"data root: {data_root or 'none named (--data-root DIR or HARNESS_DATA)'}\n"
    content = {"data_root": data_root, "datasets": lines}
    options.show(content, "\n".join([root, options.table(rows), "", *missing]))


@data.command(
    epilog="Example: harness data fetch Set5 Set14 B100 Urban100 --data-root ~/data",
    no_args_is_help=True,
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@options.needs_data_root
@click.option(
    "--mirror",
    metavar="URL|DIR|FILE",
    help="Take archives from there; used only if their hash is the published one.",
)
@click.option("--keep-archive", is_flag=True, help="Keep archives in DIR/.harness-data.")
def fetch(names: tuple[str, ...], data_root: Path, mirror: str | None, keep_archive: bool) -> None:
    """Download datasets and put them in place.

    Archives come from the authors' sites. A download that was cut goes on where it was. Archives
    must have the published hash; images are unpacked elsewhere, opened, and then moved into place
    as a whole. What is there already is never overwritten. Name the sets of one archive (Set5,
    Set14, B100, Urban100) in one command to download it once. The sets have terms of their own:
    see docs/data.md.
    """
    from harness.data import fetch as fetching

    try:
        filled = fetching.fetch(names, data_root, mirror, keep_archive)
    except KeyboardInterrupt:
        raise InterruptedWorkError(
            "Stopped. What was downloaded is kept; the same command goes on from there."
        ) from None
    for folder in filled:
        options.echo(folder)
    if not filled:
        options.echo(f"Complete already: {', '.join(names)}. `harness data verify` looks at them.")


@data.command(epilog="Example: harness data verify Set5 Set14 --data-root ~/data")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@options.needs_data_root
@click.option("--no-resize", is_flag=True, help="Do not compare LR images with a resize of HR.")
@options.json_option
def verify(names: tuple[str, ...], data_root: Path, no_resize: bool) -> int:
    """Find missing, damaged, altered or wrong images.

    Status 1 if there are any. Without NAME, every dataset of which something is below the data
    root.
    """
    from harness.data import verify as checks
    from harness.data.sets import SPECS, check_name

    layouts = {name: spec.layout for name, spec in SPECS.items() if spec.layout}
    for name in names:
        if check_name(name) not in layouts:
            raise UsageError(f"{name} is part of an installed package; it has no files to verify.")
    present = [name for name, layout in layouts.items() if (data_root / layout.hr).is_dir()]
    results = [checks.verify(n, data_root, not no_resize) for n in dict.fromkeys(names) or present]
    if not results:
        raise HarnessError(
            f"There is no dataset below {data_root}.", "`harness data list` says where they belong."
        )
    rows, lines = [], []
    for each in results:
        found = Counter(finding["level"] for finding in each["findings"])
        lr = (f"{folder} ({kind})" for folder, kind in each["lr"].items())
        rows.append(
            {
                "dataset": each["dataset"],
                "images": f"{each['images']}/{each['expected']}",
                "LR folders": ", ".join(lr) or "-",
                "problems": found["problem"],
                "notes": found["note"],
            }
        )
        lines += ["{level}: {path} {what}. {remedy}".format(**f).rstrip() for f in each["findings"]]
    content = {"data_root": data_root, "datasets": results}
    options.show(content, "\n".join([options.table(rows, disable_numparse=False), *lines]))
    return 1 if any(row["problems"] for row in rows) else 0


@data.command(
    epilog="Example: harness data prepare B100 Urban100 --scale 2 --scale 3.5 --data-root ~/data",
    no_args_is_help=True,
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@options.scales_option(required=True, help="Can be repeated.")
@options.needs_data_root
@click.option(
    "--out",
    type=options.FOLDER,
    metavar="DIR",
    help="Write below this folder instead of the data root.",
)
@click.option("--force", is_flag=True, help="Replace prepared files that are wrong.")
def prepare(
    names: tuple[str, ...],
    scales: tuple[float, ...],
    data_root: Path,
    out: Path | None,
    force: bool,
) -> int:
    """Make LR images at any scale.

    They are made by the MATLAB-compatible resize, in LR_bicubic/X<scale>. The folders carry a
    mark: measurements use their images at x2, x3 and x4 and call them `matlab`, never `official`.
    A dataset's own LR images are left as they are.
    """
    from harness.data import prepare as preparing

    status = 0
    for name in names:  # all names before any work
        preparing.folders_of(name)
    for name in dict.fromkeys(names):
        for scale in dict.fromkeys(scales):
            folder, outcome = preparing.prepare(name, scale, data_root, out, force)
            if not outcome:
                options.echo(f"{folder}: the dataset's own LR images, left as they are")
                continue
            options.echo(f"{folder}: {len(outcome['made'])} made, {len(outcome['kept'])} kept")
            for path in outcome["too small"]:
                options.echo(f"  {path} would have no pixel")
            for path in outcome["wrong"]:
                options.echo(f"  {path} is not what would be made; --force replaces it")
                status = 1
    return status
