"""Declaration of counts that follow from the architecture alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Part = Literal["all", "decoder", "upsampler"]


@dataclass(frozen=True)
class Reference:
    """Published figures shown beside a count.

    Attributes:
        name: name of their line in a table.
        about: explanation of that line, for a note.
        source: file of `harness/experiments/published`, with the value of its `table` column.
        metric: value of the `metric` column.
        dataset: value of the `dataset` column.
        unit: size of the unit of the values, and the text that follows them in print ("K").
        estimated: whether the values were read off a figure, so that no digit can agree.
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
    """Parameters and MACs of networks of the published sizes, independent of training.

    Attributes:
        size: size that MACs are counted at, from `harness.data.sets.sizes.FIXED_SIZES`.
        part: "all" of a network; "decoder": everything behind the encoder; "upsampler": the kernels
            of a network for several scales, made for one, and applying them.
        parameters, macs: references shown beside the counts.
        unit: MACs of one unit in the table, and the unit's name there.
        note: what is counted, and how it can be compared.
    """

    size: str
    part: Part = "all"
    parameters: tuple[Reference, ...] = ()
    macs: tuple[Reference, ...] = ()
    unit: tuple[float, str] = (1e9, "GMACs")
    note: str = ""
