"""What an experiment declares of counts that follow from the architecture alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Part = Literal["all", "decoder", "upsampler"]


@dataclass(frozen=True)
class Reference:
    """Published figures that a count stands beside.

    Attributes:
        name: of their line in a table.
        about: what that line is, for a note.
        source: file of `harness/published`, with the value of its `table` column.
        metric: value of the `metric` column.
        dataset: value of the `dataset` column.
        unit: what one of the values is worth, and what follows it in print ("K").
        estimated: read off a figure, so that no digit can agree.
        noted: whether the notes of single figures are shown; not where `about` has said it all.
        systems: rows that the file has under other names than usual: backbone and method.
    """

    name: str
    about: str
    source: tuple[str, str]
    metric: str
    dataset: str = "none"
    unit: tuple[float, str] = (1.0, "")
    estimated: bool = False
    noted: bool = True
    systems: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Counts:
    """Parameters and MACs of networks of the published sizes, whatever is trained.

    Attributes:
        size: that MACs are counted at; of `harness.data.sets.sizes.FIXED_SIZES`.
        part: "all" of a network; "decoder": everything behind the encoder; "upsampler": the
            kernels of a network for several scales, made for one, and what they do.
        parameters, macs: what the counts stand beside.
        unit: MACs that are one in the table, and what it is called there.
        note: what is counted, and what must be known to compare it.
    """

    size: str
    part: Part = "all"
    parameters: tuple[Reference, ...] = ()
    macs: tuple[Reference, ...] = ()
    unit: tuple[float, str] = (1e9, "GMACs")
    note: str = ""
