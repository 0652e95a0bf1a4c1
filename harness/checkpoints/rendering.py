"""Ways of rendering that are not a network's own: CMSR's tables, or a budget of MACs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

from baselines.base import SRModel
from baselines.systems.implicit import ImplicitSR
from harness.common.errors import UsageError
from moeisr.budget import within_budget


class Rendering(Protocol):
    """A way of rendering, which makes another measurement of the same weights."""

    def key(self, scale: float) -> str:
        """Identity of the rendering in rows; "" at scales that are rendered the network's way."""

    def of(self, model: SRModel, scale: float) -> SRModel:
        """The network, rendered so at a scale."""

    def facts(self, scale: float) -> dict[str, float]:
        """Facts of the rendering in rows, by name."""

    def notes(self, scales: list[float]) -> list[str]:
        """Notes on images rendered at these scales."""


@dataclass(frozen=True)
class Budget:
    """Experts chosen within a budget (`moeisr.budget`).

    Attributes:
        share: decoder MACs of an image relative to the baseline's.
    """

    share: float

    def key(self, scale: float) -> str:
        """Identity of the rendering in rows."""
        del scale
        return f"budget-{self.share:g}"

    def of(self, model: SRModel, scale: float) -> SRModel:
        """The network, its experts chosen within the budget.

        Raises:
            UsageError: a network without experts, or a budget that the cheapest exceeds.
        """
        if not model.expert_depths:
            raise UsageError("A budget is for networks with experts of different depth (MoEISR).")
        try:
            return within_budget(cast(ImplicitSR, model), self.share, scale)
        except ValueError as error:
            raise UsageError(f"--budget {self.share:g} at x{scale:g}: {error}.") from error

    def facts(self, scale: float) -> dict[str, float]:
        """The budget."""
        del scale
        return {"budget": self.share}

    def notes(self, scales: list[float]) -> list[str]:
        """Note on the meaning of a budget."""
        del scales
        return [
            f"Budget: experts are chosen so that the decoder takes at most {self.share:g} of its "
            "baseline's MACs on each image; no paper has it."
        ]
