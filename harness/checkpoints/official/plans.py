"""Plans: how an official specification becomes one of our networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baselines.names import SAME, Names
from harness.checkpoints.official.adapter import NetworkAdapter, Part
from harness.checkpoints.official.encoders import part_of
from harness.common.errors import HarnessError

Spec = dict[str, Any]

# Settings that decide what colours a network works on, not how large it is.
_COLOURS = {"values", "shifted"}


@dataclass(frozen=True)
class Plan:
    """Description of how a network is built and where its weights come from.

    Attributes:
        method: method for `baselines.build`.
        options: options for `baselines.build`, where they differ from the paper's.
        encoder: adapter of the encoder or system.
        place: official name of the encoder in the network; "" where it is the whole.
        names: names in files of another project, and the official ones that our state dict has.
    """

    method: str
    options: dict[str, Any]
    encoder: NetworkAdapter
    place: str = "encoder"
    names: Names = SAME

    @property
    def name(self) -> str:
        """Name of the method, where the network has the paper's sizes; "" elsewhere."""
        return method_name(self.method, self.options)


def method_name(method: str, options: Mapping[str, Any]) -> str:
    """Find the method that `baselines.build` makes of these; "" where a size is not the paper's."""
    given = {key: value for key, value in options.items() if value not in ({}, None)}
    encoder = given.pop("encoder", {})
    return "" if given or encoder.keys() - _COLOURS else method


def feature_encoder(spec: Mapping[str, Any]) -> Part:
    """Find the encoder under an implicit decoder.

    Raises:
        HarnessError: the encoder is unknown, or has an upsampler.
    """
    part = part_of(spec)
    if part.scale is not None:
        raise HarnessError(
            "The checkpoint's encoder has an upsampler of its own under an implicit decoder, "
            "which this version does not know (no_upsampling is not set)."
        )
    return part
