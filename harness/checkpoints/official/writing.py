"""Official checkpoint files, written from our networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from baselines.base import SRModel
from baselines.encoders import EDSR, RDN, SwinIR
from baselines.names import SAME, Names
from baselines.systems.fixed import FixedScaleLookup, FixedScaleSR
from baselines.systems.implicit import ImplicitSR
from baselines.systems.multiscale import MultiScaleSR
from baselines.systems.seemore import SeemoRe
from harness.checkpoints.official import encoders, igconv, seemore
from harness.checkpoints.official.adapter import NetworkAdapter
from harness.checkpoints.official.bare import pytorch_rdn_names
from harness.checkpoints.official.constructed import StateDict
from harness.checkpoints.official.networks import plan_of, project_of, spec_for
from harness.checkpoints.official.plans import Plan, Spec
from harness.checkpoints.official.reading import MODEL_SD, PARAMS, PLAIN
from harness.common.errors import HarnessError


@dataclass(frozen=True)
class Written:
    """Content of an official file.

    Attributes:
        content: object to save.
        layout: layout, as in `Official`.
        project: project that the layout belongs to.
        architecture: official name of the network.
        keys: number of entries of the state dict.
        constructed: how many of them were made here, because our network does not need them.
    """

    content: dict[str, Any]
    layout: str
    project: str
    architecture: str
    keys: int
    constructed: int


def write_official(
    model: SRModel, method: str, options: Mapping[str, Any], memory: Mapping[str, Any]
) -> Written:
    """Convert one of our networks to the layout of its official project, with all official keys.

    Args:
        model: the network.
        method: method that it was built as.
        options: options that it was built with.
        memory: `Official.memory` of an imported network; {} for others.

    Raises:
        HarnessError: no official project has such a network.
    """
    if isinstance(model, MultiScaleSR):
        plan = igconv.plan_of_method(method, options)
        state = _official_state(plan, model, memory)
        content = {memory.get("key", "params"): state}
        name = igconv.architecture(method)
        return _written(content, PARAMS, igconv.PROJECT, name, state, model)
    if not isinstance(model, ImplicitSR | FixedScaleSR | FixedScaleLookup):
        raise HarnessError(f"{method} has no weights.")
    if isinstance(model, FixedScaleSR) and model.input_range == "unit":
        return _write_bare(model, options, memory)
    spec = _remembered(memory, method, options) or spec_for(model, method, options)
    plan = plan_of(spec["name"], spec["args"])
    state = _official_state(plan, model, memory)
    entry = {**spec, "sd": state}
    content = {"model": entry, "epoch": memory.get("epoch", 0)}
    return _written(content, MODEL_SD, project_of(spec["name"], plan), spec["name"], state, model)


def _remembered(memory: Mapping[str, Any], method: str, options: Mapping[str, Any]) -> Spec | None:
    """Return the specification that the network came with, if it still says the same."""
    spec = memory.get("spec")
    if spec is None:
        return None
    plan = plan_of(spec["name"], spec["args"])
    return dict(spec) if (plan.method, plan.options) == (method, dict(options)) else None


def _write_bare(
    model: FixedScaleSR, options: Mapping[str, Any], memory: Mapping[str, Any]
) -> Written:
    """Convert a network whose value range only a bare state dict of its project can express."""
    given = options.get("encoder") or {}
    colours = (given.get("values"), given.get("shifted", False))
    network = model.network
    if isinstance(network, SwinIR):
        if given.get("features", 64) != 64:
            raise HarnessError("The official SwinIR has 64 features before its upsampler.")
        state = _official_state(_whole(encoders.SWINIR), model, memory)
        content = {memory.get("key", "params"): state}
        return _written(content, PARAMS, "SwinIR project", "SwinIR", state, model)
    if isinstance(network, SeemoRe):
        return _write_seemore(model, network, memory)
    if isinstance(network, EDSR) and given.get("residual_scale", 1) != 1:
        raise HarnessError("The EDSR project's state dicts do not say what scales residuals.")
    if isinstance(network, EDSR) and colours == ("bytes", True):
        state = _official_state(_whole(encoders.EDSR), model, {**memory, "rgb_range": 255})
        return _written(dict(state), PLAIN, "EDSR project", "EDSR", state, model)
    if isinstance(network, RDN) and colours == ("unit", False):
        plan = _whole(encoders.RDN, pytorch_rdn_names(model.scale))
        state = _official_state(plan, model, memory)
        return _written(dict(state), PLAIN, "RDN-pytorch project", "RDN", state, model)
    raise HarnessError("No official layout says what colour values this network works on.")


def _write_seemore(model: FixedScaleSR, network: SeemoRe, memory: Mapping[str, Any]) -> Written:
    """Convert a SeemoRe; refused where the file would be read as a network of other settings."""
    state = _official_state(_whole(next(iter(seemore.ADAPTERS.values()))), model, memory)
    told = seemore.found(state).options
    for name in seemore.UNSEEN:
        if getattr(network, name) != told[name]:
            raise HarnessError(
                f"The official file does not hold {name}; a SeemoRe of these sizes would be read "
                f"with {name} {told[name]}, this one has {getattr(network, name)}."
            )
    content = {memory.get("key", "params"): state}
    return _written(content, PARAMS, seemore.PROJECT, "SeemoRe", state, model)


def _whole(adapter: NetworkAdapter, names: Names = SAME) -> Plan:
    """Make the plan of a network that is only an encoder, to place its weights."""
    return Plan("", {}, adapter, "", names)


def _official_state(plan: Plan, model: SRModel, memory: Mapping[str, Any]) -> StateDict:
    """Make the state dict with official names and order, including what the constructor makes."""
    place = f"{plan.place}." if plan.place else ""
    state = model.state_dict()
    named = {plan.names.official(key): value.detach().cpu() for key, value in state.items()}
    own = {k.removeprefix(place): v for k, v in named.items() if k.startswith(place)}
    encoder = model.encoder if isinstance(model, ImplicitSR | MultiScaleSR) else model.network
    assert isinstance(encoder, nn.Module)
    complete = plan.encoder.constructed.write(own, encoder, memory)
    rest = {k: v for k, v in named.items() if not k.startswith(place)}
    return {**{place + k: v for k, v in complete.items()}, **rest}


def _written(
    content: dict[str, Any],
    layout: str,
    project: str,
    name: str,
    state: StateDict,
    model: SRModel,
) -> Written:
    made = len(state) - len(model.state_dict())
    return Written(content, layout, project, name, len(state), made)
