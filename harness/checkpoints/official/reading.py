"""Official checkpoint files, read into our networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from baselines.base import SRModel
from harness.checkpoints.official.bare import recognise
from harness.checkpoints.official.constructed import StateDict, Unneeded
from harness.checkpoints.official.networks import plan_of, project_of
from harness.checkpoints.official.plans import Plan, Spec
from harness.checkpoints.state_dicts import built_to_fit
from harness.common.errors import HarnessError, UsageError

MODEL_SD, PARAMS, PLAIN = "model-sd", "params", "state-dict"
AVERAGED = "params_ema"
# Wrappers of state dicts, in the order in which SwinIR's own test script for classical SR and
# SeemoRe's BasicSR look.
_WRAPPERS = ("params", AVERAGED)


@dataclass(frozen=True)
class Official:
    """Network read from an official file.

    Attributes:
        network: network with its weights.
        plan: how it was built.
        layout: model-sd, {"model": {"name", "args", "sd"}}; params, {"params": state dict}; or
            state-dict, the weights alone.
        project: project that the layout belongs to.
        unneeded: keys that the network does not need.
        memory: what an export needs to write the same file again.
        note: what is assumed about it; "" for nothing.
    """

    network: SRModel
    plan: Plan
    layout: str
    project: str
    unneeded: tuple[Unneeded, ...]
    memory: dict[str, Any] = field(default_factory=dict)
    note: str = ""


def read_official(
    content: Mapping[str, Any], values: str | None = None, network: Spec | None = None
) -> Official | None:
    """Read the network of an official file; None for an unknown layout.

    Args:
        content: content of the file.
        values: see `harness.checkpoints.official.bare.recognise`.
        network: see `harness.checkpoints.official.bare.recognise`.

    Raises:
        HarnessError: architectures or keys are unknown, or shapes do not fit (all are listed).
        harness.checkpoints.state_dicts.DAMAGE: the content is damaged.
    """
    model = content.get("model")
    if isinstance(model, Mapping) and {"name", "sd"} <= model.keys():
        if values not in (None, "signed"):
            raise UsageError("Networks in the layout of the LIIF project work on signed values.")
        if network is not None:
            raise UsageError("A file in the layout of the LIIF project says itself what it holds.")
        return _read_specified(content, model)
    wrappers = [key for key in _WRAPPERS if isinstance(content.get(key), Mapping)]
    wrapper = wrappers[0] if wrappers else None
    state = _without_module(content if wrapper is None else content[wrapper])
    found = recognise(state, values, network)
    if found is None:
        return None
    if found.averaged and wrappers:
        wrapper = wrappers[-1]
        state = _without_module(content[wrapper])
    model, memory, unneeded = _filled(found.plan, state, f"{found.project}'s checkpoint")
    if wrapper == AVERAGED:
        memory["key"] = wrapper
    if wrapper is not None:
        others = [key for key in _WRAPPERS if key in content and key != wrapper]
        unneeded += [
            Unneeded((key,), f"another set of weights; {wrapper} is read") for key in others
        ]
    layout = PLAIN if wrapper is None else PARAMS
    return Official(model, found.plan, layout, found.project, tuple(unneeded), memory, found.note)


def _read_specified(content: Mapping[str, Any], model: Mapping[str, Any]) -> Official:
    name, args = str(model["name"]), model.get("args") or {}
    plan = plan_of(name, args)
    network, memory, unneeded = _filled(plan, model["sd"], f"official {name} checkpoint")
    memory["spec"] = {"name": name, "args": dict(args)}
    if isinstance(content.get("epoch"), int):
        memory["epoch"] = content["epoch"]
    return Official(network, plan, MODEL_SD, project_of(name, plan), tuple(unneeded), memory)


def _without_module(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Remove the prefix that `DataParallel` leaves on every key."""
    if state and all(str(key).startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _filled(
    plan: Plan, state: Mapping[str, Any], what: str
) -> tuple[SRModel, dict[str, Any], list[Unneeded]]:
    """Return the network with its weights, what an export must remember, and the unneeded keys."""
    wrong = [str(key) for key, v in state.items() if not (isinstance(v, Tensor) and v.numel())]
    if wrong:
        listed = ", ".join(wrong[:5])
        raise HarnessError(f"The {what} has entries that are no tensors, or empty: {listed:.500}")
    place = f"{plan.place}." if plan.place else ""
    part = {k.removeprefix(place): v for k, v in state.items() if k.startswith(place)}
    constructed = plan.encoder.constructed
    unneeded = [
        Unneeded(tuple(place + key for key in entry.keys), entry.why)
        for entry in constructed.unneeded(part)
    ]
    passed = {key for entry in unneeded for key in entry.keys}
    own: StateDict = {plan.names.ours(k): v for k, v in state.items() if k not in passed}
    network = built_to_fit(plan.method, plan.options, own, what, plan.names.official)
    # After the sizes are known to be those of the weights: tables are made to compare with.
    memory: dict[str, Any] = dict(constructed.read(part, plan.options.get("encoder") or {}))
    return network, memory, unneeded
