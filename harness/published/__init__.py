"""The papers' printed numbers, shipped as data (CSV files beside this one)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd

from baselines.encoders import SYSTEMS
from baselines.registry import parse

_ENCODERS = {
    "edsr": "EDSR",
    "rdn": "RDN",
    "rcan": "RCAN",
    "swinir": "SwinIR",
    "srformer": "SRFormer",
    "edsr-large": "EDSR (256 features)",
}
_SYSTEMS = {"seemore-t": "SeemoRe-T", "seemore-b": "SeemoRe-B", "seemore-l": "SeemoRe-L"}
_DECODERS = {"liif": "LIIF", "lte": "LTE", "metasr": "MetaSR"}
_UPSAMPLERS = {"igconv": "IGConv", "igconv-plus": "IGConv+"}
# What IGConv's paper calls EDSR is not what LIIF's does.
_BACKBONES = {"edsr": "EDSR-baseline", "edsr-large": "EDSR"}


@dataclass(frozen=True)
class Printed:
    """A number of a paper, and what must be known of it (misprints above all)."""

    value: float
    note: str


def label(method: str) -> str:
    """The paper's name of a method: `edsr-moeisr-liif-s` is EDSR-MoEISR(LIIF)-s."""
    backbone, name = _paper_names(method)
    return name if backbone in ("none", name) else f"{backbone}-{name}"


def encoder_label(encoder: str) -> str:
    """The paper's name of an encoder or system."""
    return {**_ENCODERS, **_SYSTEMS}.get(encoder, encoder)


def _paper_names(method: str) -> tuple[str, str]:
    """Values of the columns `backbone` and `method` for one of our names."""
    parts = parse(method)
    if not parts.encoder:
        return "none", method
    encoder = encoder_label(parts.encoder)
    if parts.upsampler:
        backbone = _BACKBONES.get(parts.encoder, encoder)
        return backbone, _UPSAMPLERS.get(parts.upsampler, parts.upsampler)
    if not parts.decoder:
        return "none" if parts.encoder in SYSTEMS else encoder, encoder
    decoder = _DECODERS.get(parts.decoder, parts.decoder)
    name = f"MoEISR({decoder})-{parts.variant}" if parts.head == "moeisr" else decoder
    return encoder, f"{name}-{parts.suffix}" if parts.suffix else name


_Key = tuple[str, str, str, str, float, str]


@cache
def _index(file: str) -> dict[_Key, Printed]:
    with (files(__package__) / file).open(encoding="utf-8") as stream:
        rows = pd.read_csv(stream, dtype={"table": str, "printed": str}, keep_default_na=False)
    columns = ("table", "backbone", "method", "dataset", "scale", "metric", "value", "note")
    found: dict[_Key, Printed] = {}
    for row in rows[list(columns)].itertuples(index=False, name=None):
        *names, scale, metric, value, note = row
        if "," in str(scale):  # a claim about several scales together belongs to no cell
            continue
        table, backbone, method, dataset = map(str, names)
        key = (table, backbone, method, dataset, float(scale), str(metric))
        found[key] = Printed(float(value), str(note))
    return found


def printed(
    sources: Iterable[tuple[str, str]],
    method: str,
    dataset: str,
    scale: float,
    metric: str = "psnr_db",
) -> Printed | None:
    """What the first of some tables that has it prints, or None.

    Args:
        sources: files of this folder, each with the value of its `table` column.
        method: our name.
        dataset: the paper's.
        scale: factor.
        metric: value of the `metric` column.

    Example:
        >>> printed([("moeisr_table1.csv", "1")], "edsr-liif", "DIV2K_valid", 4).value
        29.0
    """
    backbone, name = _paper_names(method)
    for file, table in sources:
        found = _index(file).get((table, backbone, name, dataset, float(scale), metric))
        if found is not None:
            return found
    return None


def published(
    file: str, table: str, method: str, dataset: str, scale: float, metric: str = "psnr_db"
) -> float | None:
    """The printed value in one table, or None where it prints none; see `printed`."""
    found = printed([(file, table)], method, dataset, scale, metric)
    return None if found is None else found.value
