"""Rows of a comparison as systems: scales, models and sizes."""

from __future__ import annotations

from dataclasses import dataclass

from baselines import parse
from baselines.registry import DECODERS
from baselines.systems.seemore import SIZES
from harness.report.data import Report
from harness.runs.experiment import method_at, methods_of, scales_of_row


@dataclass(frozen=True)
class System:
    """Row, with facts that follow from its name and from what was measured.

    Attributes:
        row: row of the experiment.
        label: name in tables.
        scales: scales that it can do; None for any.
        parameters: parameters of each of its models; None where one was not measured.
        chooses: whether experts are chosen, so that its cost depends on the image.
        learns: whether anything is trained.
        routable: whether MoEISR's experts can replace its decoder's MLP.
        ensembles: whether it predicts from several latent codes.
        outside: what a method from outside is; "" for ours.
    """

    row: str
    label: str
    scales: tuple[float, ...] | None
    parameters: tuple[int | None, ...]
    chooses: bool
    learns: bool
    routable: bool
    ensembles: bool
    outside: str = ""

    @property
    def parameters_in_sum(self) -> int | None:
        """Sum of the parameters of all models; None where one was not measured."""
        known = [number for number in self.parameters if number is not None]
        return sum(known) if len(known) == len(self.parameters) else None


def system(report: Report, row: str) -> System:
    """Collect the facts of a row."""
    methods = methods_of(row)
    parts = parse(methods[0])
    decoder = DECODERS.get(parts.decoder)
    return System(
        row=row,
        label=report.label(row),
        scales=scales_of_row(row),
        parameters=tuple(_parameters(report, row, method) for method in methods),
        chooses=bool(parts.head) or parts.encoder in SIZES,
        learns=parts.is_trained or bool(parts.outside),
        outside=parts.outside,
        routable=decoder is not None and decoder.routable,
        ensembles=decoder is not None and decoder.ensembles,
    )


def parameters_at(report: Report, row: str, scale: float) -> int | None:
    """Return the parameters of a row's model for a scale; None if there is none or not measured."""
    method = method_at(row, scale)
    return None if method is None else _parameters(report, row, method)


def _parameters(report: Report, row: str, method: str) -> int | None:
    found = (
        report.at(row, role, scale).metric("parameters")
        for role in report.roles
        for scale in report.scales
        if method_at(row, scale) == method
    )
    return next((int(number) for number in found if number is not None), None)
