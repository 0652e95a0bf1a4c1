"""Official checkpoint files, written from our networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baselines.base import SRModel
from baselines.registry import Method, parse
from harness.checkpoints.official import encoders, igconv, seemore
from harness.checkpoints.official.adapter import our_defaults
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
    parts = parse(method)
    if not parts.encoder:
        raise HarnessError(f"{method} has no weights.")
    if parts.upsampler:
        named = (igconv.PROJECT, igconv.architecture(method))
        return _write_params(igconv.plan_of_method(method, options), model, memory, named)
    if parts.scale is not None and model.input_range == "unit":
        return _write_bare(model, parts, options, memory)
    spec = _remembered(memory, method, options) or spec_for(method, options)
    plan = plan_of(spec["name"], spec["args"])
    state = _official_state(plan, model, memory)
    content = {"model": {**spec, "sd": state}, "epoch": memory.get("epoch", 0)}
    return _written(content, MODEL_SD, (project_of(spec["name"], plan), spec["name"]), state, model)


def _remembered(memory: Mapping[str, Any], method: str, options: Mapping[str, Any]) -> Spec | None:
    """Return the specification that the network came with, if it still says the same."""
    spec = memory.get("spec")
    if spec is None:
        return None
    plan = plan_of(spec["name"], spec["args"])
    return dict(spec) if (plan.method, plan.options) == (method, dict(options)) else None


def _write_bare(
    model: SRModel, parts: Method, options: Mapping[str, Any], memory: Mapping[str, Any]
) -> Written:
    """Convert a network whose value range only a bare state dict of its project can express."""
    given = options.get("encoder") or {}
    colours = (given.get("values"), given.get("shifted", False))
    if parts.encoder == "swinir":
        if given.get("features", 64) != 64:
            raise HarnessError("The official SwinIR has 64 features before its upsampler.")
        plan = Plan(parts.name, dict(options), encoders.SWINIR, "")
        return _write_params(plan, model, memory, ("SwinIR project", "SwinIR"))
    if parts.encoder in seemore.ADAPTERS:
        return _write_seemore(model, parts, options, memory)
    if parts.encoder == "edsr" and given.get("residual_scale", 1) != 1:
        raise HarnessError("The EDSR project's state dicts do not say what scales residuals.")
    if parts.encoder == "edsr" and colours == ("bytes", True):
        plan = Plan(parts.name, dict(options), encoders.EDSR, "")
        state = _official_state(plan, model, {**memory, "rgb_range": 255})
        return _written(dict(state), PLAIN, ("EDSR project", "EDSR"), state, model)
    if parts.encoder == "rdn" and colours == ("unit", False):
        assert parts.scale is not None
        names = pytorch_rdn_names(parts.scale)
        state = _official_state(Plan(parts.name, {}, encoders.RDN, "", names), model, memory)
        return _written(dict(state), PLAIN, ("RDN-pytorch project", "RDN"), state, model)
    raise HarnessError("No official layout says what colour values this network works on.")


def _write_seemore(
    model: SRModel, parts: Method, options: Mapping[str, Any], memory: Mapping[str, Any]
) -> Written:
    """Convert a SeemoRe; refused where the file would be read as a network of other settings."""
    plan = Plan(parts.name, dict(options), seemore.ADAPTERS[parts.encoder], "")
    written = _write_params(plan, model, memory, (seemore.PROJECT, "SeemoRe"))
    (state,) = written.content.values()
    told = seemore.found(state).options
    made = {**our_defaults(parts.encoder), **(options.get("encoder") or {})}
    for name in seemore.UNSEEN:
        if made[name] != told[name]:
            raise HarnessError(
                f"The official file does not hold {name}; a SeemoRe of these sizes would be read "
                f"with {name} {told[name]}, this one has {made[name]}."
            )
    return written


def _write_params(
    plan: Plan, model: SRModel, memory: Mapping[str, Any], named: tuple[str, str]
) -> Written:
    """Convert a network to a state dict under `params`, or under the key that it came with."""
    state = _official_state(plan, model, memory)
    return _written({memory.get("key", "params"): state}, PARAMS, named, state, model)


def _official_state(plan: Plan, model: SRModel, memory: Mapping[str, Any]) -> StateDict:
    """Make the state dict with official names and order, including what the constructor makes."""
    place = f"{plan.place}." if plan.place else ""
    state = model.state_dict()
    named = {plan.names.official(key): value.detach().cpu() for key, value in state.items()}
    own = {k.removeprefix(place): v for k, v in named.items() if k.startswith(place)}
    options = plan.options.get("encoder") or {}
    complete = plan.encoder.constructed.write(own, options, memory)
    rest = {k: v for k, v in named.items() if not k.startswith(place)}
    return {**{place + k: v for k, v in complete.items()}, **rest}


def _written(
    content: dict[str, Any],
    layout: str,
    named: tuple[str, str],
    state: StateDict,
    model: SRModel,
) -> Written:
    """Describe an official file; `named` has its project and the network's name there."""
    made = len(state) - len(model.state_dict())
    return Written(content, layout, *named, len(state), made)
