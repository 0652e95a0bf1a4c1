"""The papers' printed numbers, shipped as data (CSV files beside this one)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import pandas as pd

from baselines.registry import parse

_ENCODERS = {"edsr": "EDSR", "rdn": "RDN", "swinir": "SwinIR"}


def label(method: str) -> str:
    """The paper's name of a method: `edsr-moeisr-liif-s` is EDSR-MoEISR(LIIF)-s."""
    backbone, name = _paper_names(method)
    return name if backbone == "none" else f"{backbone}-{name}"


def _paper_names(method: str) -> tuple[str, str]:
    """Values of the columns `backbone` and `method` for one of our names."""
    parts = parse(method)
    if not parts.encoder:
        return "none", method
    decoder = parts.decoder.upper()
    name = f"MoEISR({decoder})-{parts.variant}" if parts.head == "moeisr" else decoder
    return _ENCODERS.get(parts.encoder, parts.encoder), name


@cache
def _table(file: str) -> pd.DataFrame:
    with (files(__package__) / file).open(encoding="utf-8") as stream:
        return pd.read_csv(stream, dtype={"table": str, "printed": str}, keep_default_na=False)


def published(
    file: str, table: str, method: str, dataset: str, scale: float, metric: str = "psnr_db"
) -> float | None:
    """The printed value, or None where the paper prints none.

    Example:
        >>> published("moeisr_table1.csv", "1", "edsr-liif", "DIV2K_valid", 4)
        29.0
    """
    backbone, name = _paper_names(method)
    rows = _table(file)
    found = rows[
        (rows["table"] == table)
        & (rows["backbone"] == backbone)
        & (rows["method"] == name)
        & (rows["dataset"] == dataset)
        & (rows["scale"].astype(float) == scale)
        & (rows["metric"] == metric)
    ]
    return None if found.empty else float(found["value"].iloc[0])
