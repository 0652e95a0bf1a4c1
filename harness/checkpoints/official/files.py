"""Official checkpoint files, read into our networks and written from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from baselines.base import SRModel
from baselines.registry import parse
from baselines.systems.seemore import SIZES
from harness.checkpoints.official import bare, igconv
from harness.checkpoints.official.builds import Build, Options, Spec, build_in_words, our_defaults
from harness.checkpoints.official.constructed import Unneeded, constructed_of
from harness.checkpoints.official.specifications import build_of, project_of, spec_for
from harness.checkpoints.state_dicts import built_to_fit
from harness.common.errors import HarnessError, UsageError

MODEL_SD, PARAMS, PLAIN = "model-sd", "params", "state-dict"
AVERAGED = "params_ema"
# Wrappers of state dicts, in the order in which SwinIR's own test script for classical SR and
# SeemoRe's BasicSR look.
_WRAPPERS = ("params", AVERAGED)


@dataclass(frozen=True)
class Official:
    """Network with its weights, read from a file of an official project.

    Attributes:
        layout: model-sd, {"model": {"name", "args", "sd"}}; params, {"params": state dict}; or
            state-dict, the weights alone.
        unneeded: keys that the network does not need.
        memory: what an export needs to write the same file again.
        note: what is assumed about it; "" for nothing.
    """

    network: SRModel
    build: Build
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
        values: colour values of the network, where the file does not say: signed, unit, bytes.
        network: official name and arguments, where the file does not say (IGConv).

    Raises:
        HarnessError: architectures or keys are unknown, or shapes do not fit (all are listed).
        UsageError: values or arguments contradict the file.
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
    found = igconv.recognise(state, network) or bare.recognise(state)
    if found is None:
        return None
    if values is not None:
        found = found.with_values(values)
    if found.averaged and wrappers:
        wrapper = wrappers[-1]
        state = _without_module(content[wrapper])
    model, memory, unneeded = _filled(found.build, state, f"{found.project}'s checkpoint")
    if wrapper == AVERAGED:
        memory["key"] = wrapper
    others = [key for key in _WRAPPERS if wrapper and key in content and key != wrapper]
    unneeded += [Unneeded((key,), f"another set of weights; {wrapper} is read") for key in others]
    layout = PARAMS if wrapper else PLAIN
    return Official(model, found.build, layout, found.project, tuple(unneeded), memory, found.note)


def _read_specified(content: Mapping[str, Any], model: Mapping[str, Any]) -> Official:
    name, args = str(model["name"]), model.get("args") or {}
    build = build_of(name, args)
    network, memory, unneeded = _filled(build, model["sd"], f"official {name} checkpoint")
    memory["spec"] = {"name": name, "args": dict(args)}
    if isinstance(content.get("epoch"), int):
        memory["epoch"] = content["epoch"]
    return Official(network, build, MODEL_SD, project_of(name, build), tuple(unneeded), memory)


def _without_module(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Remove the prefix that `DataParallel` leaves on every key."""
    if state and all(str(key).startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _filled(
    build: Build, state: Mapping[str, Any], what: str
) -> tuple[SRModel, dict[str, Any], list[Unneeded]]:
    """Return the network with its weights, what an export must remember, and the unneeded keys."""
    wrong = [str(key) for key, v in state.items() if not (isinstance(v, Tensor) and v.numel())]
    if wrong:
        listed = ", ".join(wrong[:5])
        raise HarnessError(f"The {what} has entries that are no tensors, or empty: {listed:.500}")
    place, constructed = build.place, constructed_of(build.method)
    part = {k.removeprefix(place): v for k, v in state.items() if k.startswith(place)}
    unneeded = constructed.unneeded(state, place)
    passed = {key for entry in unneeded for key in entry.keys}
    own = {build.names.ours(k): v for k, v in state.items() if k not in passed}
    network = built_to_fit(build.method.name, build.options, own, what, build.names.official)
    # After the sizes are known to be those of the weights: tables are made to compare with.
    memory: dict[str, Any] = dict(constructed.read(part, build.options.get("encoder") or {}))
    return network, memory, unneeded


# Projects whose files are bare state dicts of networks on [0, 1], by our encoder: layout, project,
# name of the network.
_BARE = {
    "edsr": (PLAIN, "EDSR project", "EDSR"),
    "rdn": (PLAIN, "RDN-pytorch project", "RDN"),
    "swinir": (PARAMS, "SwinIR project", "SwinIR"),
    **dict.fromkeys(SIZES, (PARAMS, "SeemoRe project", "SeemoRe")),
}


def write_official(
    model: SRModel, method: str, options: Options, memory: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Convert one of our networks to the layout of its official project, with all official keys.

    `method` and `options` are those it was built with, `memory` is `Official.memory` of an imported
    network and empty for others.

    Returns:
        Object to save, and its description: layout and project as in `Official`, architecture
        (official name of the network), keys (number of entries of the state dict) and constructed
        (how many of them were made here, because our network does not need them).

    Raises:
        HarnessError: no official project has such a network.
    """
    build, spec = Build(parse(method), dict(options)), memory.get("spec") or {}
    if not build.method.is_trained:
        raise HarnessError(f"{method} has no weights.")
    # Values that only a bare state dict of the project can express.
    unit = build.method.scale is not None and model.input_range == "unit"
    if build.method.upsampler:
        layout, project, name = PARAMS, igconv.PROJECT, igconv.architecture(build.method)
    elif unit:
        layout, project, name = _bare_layout(build)
        memory = {**memory, "rgb_range": 255}
        if name == "RDN" and (build.options.get("encoder") or {}).get("values") == "unit":
            build = replace(build, names=bare.pytorch_rdn_names(build.method.scale or 2))
    else:
        # That which the network came with, if it still says the same.
        if not spec or build_of(spec["name"], spec["args"]) != build:
            spec = spec_for(build)
        layout, project, name = MODEL_SD, project_of(spec["name"], build), spec["name"]
    state = _official_state(build, model, memory)
    content: dict[str, Any] = dict(state)
    if layout == MODEL_SD:
        content = {"model": {**spec, "sd": state}, "epoch": memory.get("epoch", 0)}
    elif layout == PARAMS:
        content = {memory.get("key", PARAMS): state}
    if unit:
        _check_told(build, state)
    facts = {"layout": layout, "project": project, "architecture": name, "keys": len(state)}
    return content, {**facts, "constructed": len(state) - len(model.state_dict())}


def _bare_layout(build: Build) -> tuple[str, str, str]:
    """Find layout, project and name of a network whose project publishes bare state dicts."""
    encoder, own = build.method.encoder, build.options.get("encoder") or {}
    if encoder not in _BARE:
        raise HarnessError(f"No official project is known for {build.method.name}.")
    if encoder == "swinir" and own.get("features", 64) != 64:
        raise HarnessError("The official SwinIR has 64 features before its upsampler.")
    return _BARE[encoder]


def _check_told(build: Build, state: Mapping[str, Tensor]) -> None:
    """Refuse a state dict that would be read as a network of other settings."""
    told = bare.recognise(state)
    assert told is not None
    made, read = (
        {**our_defaults(each.method.encoder), **(each.options.get("encoder") or {})}
        for each in (build, told.build)
    )
    lost = [name for name in made if name != "drop_path" and made[name] != read.get(name)]
    if lost:
        raise HarnessError(
            f"The official file does not hold {', '.join(lost)}; it would be read as "
            f"{build_in_words(told.build.method.name, {name: read.get(name) for name in lost})}, "
            f"this is {build_in_words(build.method.name, {name: made[name] for name in lost})}."
        )


def _official_state(build: Build, model: SRModel, memory: Mapping[str, Any]) -> dict[str, Tensor]:
    """Make the state dict with official names and order, including what the constructor makes."""
    place, state = build.place, model.state_dict()
    named = {build.names.official(key): value.detach().cpu() for key, value in state.items()}
    own = {k.removeprefix(place): v for k, v in named.items() if k.startswith(place)}
    options = build.options.get("encoder") or {}
    complete = constructed_of(build.method).write(own, options, memory)
    rest = {k: v for k, v in named.items() if not k.startswith(place)}
    return {**{place + k: v for k, v in complete.items()}, **rest}
