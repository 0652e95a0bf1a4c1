"""The papers' printed numbers, shipped as data (CSV files beside this one)."""

from __future__ import annotations

from collections.abc import Iterable

from baselines.encoders import SYSTEMS
from baselines.registry import parse
from harness.published.reading import Claim, Printed, System, claims, look_up, systems

_ENCODERS = {
    "edsr": "EDSR",
    "rdn": "RDN",
    "rcan": "RCAN",
    "swinir": "SwinIR",
    "srformer": "SRFormer",
    "edsr-large": "EDSR (256 features)",
}
_SYSTEMS = {"seemore-t": "SeemoRe-T", "seemore-b": "SeemoRe-B", "seemore-l": "SeemoRe-L"}
_DECODERS = {
    "liif": "LIIF",
    "lte": "LTE",
    "metasr": "MetaSR",
    "lmliif": "LM-LIIF",
    "lmlte": "LM-LTE",
    "ipe": "IPE",
}
_UPSAMPLERS = {"igconv": "IGConv", "igconv-plus": "IGConv+"}
# What IGConv's paper calls EDSR is not what LIIF's does.
_BACKBONES = {"edsr": "EDSR-baseline", "edsr-large": "EDSR"}


def label(method: str) -> str:
    """The paper's name of a method: `edsr-moeisr-liif-s` is EDSR-MoEISR(LIIF)-s."""
    return system(method).label


def system(method: str) -> System:
    """The system that a method is in the papers' tables."""
    return System(*_paper_names(method))


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
    return printed_of(sources, system(method), dataset, scale, metric)


def printed_of(
    sources: Iterable[tuple[str, str]], named: System, dataset: str, scale: float, metric: str
) -> Printed | None:
    """As `printed`, for a system by the paper's names."""
    found = (look_up(file, table, named, dataset, scale, metric) for file, table in sources)
    return next((value for value in found if value is not None), None)


def published(
    file: str, table: str, method: str, dataset: str, scale: float, metric: str = "psnr_db"
) -> float | None:
    """The printed value in one table, or None where it prints none; see `printed`."""
    found = printed([(file, table)], method, dataset, scale, metric)
    return None if found is None else found.value


__all__ = [
    "Claim",
    "Printed",
    "System",
    "claims",
    "encoder_label",
    "label",
    "printed",
    "printed_of",
    "published",
    "system",
    "systems",
]
