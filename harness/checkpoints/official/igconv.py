"""Networks of the IGConv project: state dicts under `params` or `params_ema`.

The sizes follow from the shapes. Other settings are in the project's option files under
`network_g`: whether kernels are averaged, EDSR's residual scaling, the largest scale. Where they
are not given, they are assumed to be as in the files that the project released its networks with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.encoders.colours import DIV2K_MEAN
from baselines.registry import UPSAMPLERS, parse
from harness.checkpoints.official.adapter import (
    NetworkAdapter,
    Options,
    defaults_of,
    differing,
    our_defaults,
)
from harness.checkpoints.official.igconv_families import AVERAGING, FAMILIES, PLAIN, Family
from harness.checkpoints.official.plans import Plan, Spec
from harness.checkpoints.official.sizes import State, count
from harness.common.errors import HarnessError, UsageError

PROJECT = "IGConv project"
_PLUS = {"igconv": False, "igconv-plus": True}
_LARGE = {"blocks": 32, "features": 256}  # the EDSR that the project released
_SCALES = (2, 3, 4, 8)  # that the project trained these encoders for, up to the largest


SIGNS = tuple(f"{place}.freq" for place in dict.fromkeys(f.upsampler for f in FAMILIES))

# Official arguments that shapes show, and our options; IGConv's are its own.
_SHOWN = {
    "num_feat": "features",
    "num_block": "blocks",
    "G0": "features",
    "embed_dim": "channels",
    "depths": "depths",
    "window_size": "window",
    "mlp_ratio": "ratio",
    "implicit_dim": "width",
    "latent_layers": "layers",
    "n_layers": "layers",
}


def plan_of_state(state: State, network: Spec | None) -> tuple[Plan, str]:
    """Find how a network of the project is built, and what is assumed about it.

    Args:
        state: state dict by official names.
        network: official name and arguments; None where they are not known.

    Raises:
        HarnessError: the harness does not have the encoder, or cannot follow an argument.
        UsageError: arguments contradict the state dict.
    """
    family = _family(state)
    plus = "skip.convs.freq" in state
    encoder, upsampler = family.sizes(state), _upsampler_sizes(state, family)
    if network is None:
        arguments, note = _released(family, plus, encoder)
    else:
        # In IGConv's options a layer is one of the hyper-network, not one of RDN's.
        _check_shown(family, plus, network, {**encoder, **upsampler})
        arguments, note = {**family.defaults[plus], **network["args"]}, ""
    _check_followed(arguments)
    if "res_scale" in arguments:
        encoder["residual_scale"] = arguments["res_scale"]
    upsampler["average"] = arguments["geo_ensemble"]
    upsampler["scales"] = [scale for scale in _SCALES if scale <= arguments["max_s"]]
    large = family.ours == "edsr" and {**encoder, **_LARGE} == encoder
    ours = "edsr-large" if large else family.ours
    method = f"{ours}-{next(name for name, value in _PLUS.items() if value == plus)}"
    return plan_of_method(method, _changed(method, encoder, upsampler)), note


def plan_of_method(method: str, options: Mapping[str, Any]) -> Plan:
    """Find how a method's network is built.

    Raises:
        HarnessError: the project has no such network.
    """
    family = _of_method(method)
    if family is None:
        raise HarnessError(f"The IGConv project has no network like {method}.")
    return Plan(method, dict(options), NetworkAdapter(family.ours, family.constructed), "")


def architecture(method: str) -> str:
    """Return the official name of a method's network."""
    family = _of_method(method)
    assert family is not None
    return family.names[_PLUS[parse(method).upsampler]]


def _of_method(method: str) -> Family | None:
    """Find the family of a method; None for methods that the project has no network of."""
    parts = parse(method)
    if parts.upsampler not in _PLUS:
        return None
    ours = "edsr" if parts.encoder == "edsr-large" else parts.encoder
    plus = _PLUS[parts.upsampler]
    return next((f for f in FAMILIES if f.ours == ours and f.names[plus]), None)


def _family(state: State) -> Family:
    for family in FAMILIES:
        if family.sign in state and f"{family.upsampler}.freq" in state:
            return family
    names = ", ".join(sorted({name for family in FAMILIES for name in family.names if name}))
    raise HarnessError(
        "The checkpoint is an IGConv network over an encoder that the harness does not have.",
        f"It has {names}.",
    )


def _upsampler_sizes(state: State, family: Family) -> Options:
    layers = count(state, rf"{family.upsampler}\.query_kernel\.(\d+)\.weight") - 1
    return {"width": state[f"{family.upsampler}.freq"].shape[1], "layers": layers}


def _released(family: Family, plus: bool, encoder: Options) -> tuple[Mapping[str, Any], str]:
    """Return what the project's option files say, and a note that it is assumed."""
    found: dict[str, Any] = {**(AVERAGING if plus else PLAIN)}
    words = f"taken to {'average' if plus else 'leave'} its kernels"
    if family.ours == "edsr":
        # The project's option files have the large EDSR only; 1 is its code's default.
        found["res_scale"] = 0.1 if encoder["features"] >= _LARGE["features"] else 1
        words += f" and to scale residuals by {found['res_scale']:g}"
    if family.ours == "rcan":
        found["max_s"] = 8
    return found, f"{words}, as the released networks do; the file does not say"


def _check_shown(family: Family, plus: bool, network: Spec, sizes: Options) -> None:
    """Refuse arguments that differ from those of the state dict."""
    name, args = network["name"], network["args"]
    known = {"igconv": False, "igconv+igsample": True}
    if name != family.names[plus] or known.get(args.get("upsampler"), plus) != plus:
        raise UsageError(
            f"The file holds {family.names[plus]} {'with' if plus else 'without'} IGSample, the "
            f"options are those of {name}."
        )
    for official, ours in _SHOWN.items():
        if official in args and ours in sizes and args[official] != sizes[ours]:
            raise UsageError(
                f"The options say {official} {args[official]}, the file holds {sizes[ours]}."
            )


def _check_followed(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that need another network."""
    mean = tuple(arguments.get("rgb_mean", DIV2K_MEAN))
    if arguments["img_range"] != 1 or mean != DIV2K_MEAN:
        raise HarnessError("Only IGConv networks on images in [0, 1] less DIV2K's mean are known.")


def _changed(method: str, encoder: Options, upsampler: Options) -> dict[str, Any]:
    """Select the options for `baselines.build` that differ from the method's."""
    parts = parse(method)
    made_by = UPSAMPLERS[parts.upsampler]
    backbone = made_by.backbones[parts.encoder]
    changed = {
        "encoder": differing(encoder, {**our_defaults(parts.encoder), **backbone.encoder}),
        "upsampler": differing(upsampler, {**defaults_of(made_by), **backbone.upsampler}),
    }
    return {part: options for part, options in changed.items() if options}
