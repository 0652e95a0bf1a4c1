"""Networks of the IGConv project: state dicts under `params` or `params_ema`.

The sizes follow from the shapes. Other settings are in the project's option files under
`network_g`: whether kernels are averaged, EDSR's residual scaling, the largest scale. Where they
are not given, they are assumed to be as in the files that the project released its networks with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from baselines.encoders.colours import DIV2K_MEAN
from baselines.registry import UPSAMPLERS, Method
from harness.checkpoints.official.bare import Bare, count, rdn_sizes, transformer_sizes
from harness.checkpoints.official.builds import (
    Options,
    Spec,
    State,
    defaults_of,
    differing,
    make_build,
    our_defaults,
)
from harness.common.errors import HarnessError, UsageError

PROJECT = "IGConv project"
_LARGE = {"blocks": 32, "features": 256}  # the EDSR that the project released
_SCALES = (2, 3, 4, 8)  # that the project trained these encoders for, up to the largest

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


@dataclass(frozen=True)
class Family:
    """Networks of the project over one encoder, which we call `ours`.

    Attributes:
        names: official names of the networks, without and with IGSample; "" for none.
        sign: entry of a state dict that identifies the encoder.
        sizes: finds the options of the encoder from a state dict.
        place: official name of IGConv in the network.
        defaults: official arguments that no shape shows; those of an option file without them.
        averages: whether a network without, and one with IGSample averages its kernels by default.
    """

    ours: str
    names: tuple[str, str]
    sign: str
    sizes: Callable[[State], dict[str, Any]]
    place: str = "upsample"
    defaults: Options = field(default_factory=dict)
    averages: tuple[bool, bool] = (True, True)


def _edsr_sizes(state: State) -> dict[str, Any]:
    blocks = count(state, r"body\.(\d+)\.conv1\.weight")
    return {"blocks": blocks, "features": state["conv_first.weight"].shape[0]}


def _rcan_sizes(state: State) -> dict[str, Any]:
    features = state["head.0.weight"].shape[0]
    return {
        "groups": count(state, r"body\.(\d+)\.body\.0\.body\.0\.weight"),
        "blocks": count(state, r"body\.0\.body\.(\d+)\.body\.0\.weight"),
        "features": features,
        "reduction": features // state["body.0.body.0.body.3.conv_du.0.weight"].shape[0],
    }


_DEFAULTS = {"img_range": 1, "max_s": 4}
_ATTENTION = "layers.0.residual_group.blocks.0.attn"
FAMILIES = (
    Family(
        "edsr",
        ("EDSRIG", "EDSRIGPlus"),
        "body.0.conv1.weight",
        _edsr_sizes,
        defaults={"img_range": 255, "res_scale": 1},
        averages=(False, True),
    ),
    Family(
        "rdn", ("RDNIG", "RDNIGPlus"), "SFENet1.weight", rdn_sizes, "UPNet", averages=(False, False)
    ),
    Family(
        "rcan", ("", "RCANIGPlus"), "body.0.body.0.body.3.conv_du.0.weight", _rcan_sizes, "tail"
    ),
    Family("swinir", ("SwinIRMS",) * 2, f"{_ATTENTION}.qkv.weight", transformer_sizes),
    Family(
        "srformer",
        ("SRFormer",) * 2,
        f"{_ATTENTION}.kv.weight",
        partial(transformer_sizes, pixels=2),
    ),
)
PLACES = tuple(f"{family.place}.freq" for family in FAMILIES)


def recognise(state: State, network: Spec | None) -> Bare | None:
    """Recognise a network of the project by its state dict; None for other networks.

    `network` has its official name and arguments, where they are known.

    Raises:
        HarnessError: the harness does not have the encoder, or cannot follow an argument.
        UsageError: arguments contradict the state dict, or are those of another project.
    """
    if not any(place in state for place in PLACES):
        if network is not None:
            raise UsageError("Only networks of the IGConv project need their arguments.")
        return None
    family = _family(state)
    plus = "skip.convs.freq" in state
    layers = count(state, rf"{family.place}\.query_kernel\.(\d+)\.weight") - 1
    upsampler: dict[str, Any] = {"width": state[f"{family.place}.freq"].shape[1], "layers": layers}
    encoder, note = family.sizes(state), ""
    if network is None:
        arguments, note = _released(family, plus, encoder)
    else:
        # In IGConv's options a layer is one of the hyper-network, not one of RDN's.
        _check_shown(family, plus, network, {**encoder, **upsampler})
        usual = {**_DEFAULTS, "geo_ensemble": family.averages[plus], **family.defaults}
        arguments = {**usual, **network["args"]}
    mean = tuple(arguments.get("rgb_mean", DIV2K_MEAN))
    if arguments["img_range"] != 1 or mean != DIV2K_MEAN:
        raise HarnessError("Only IGConv networks on images in [0, 1] less DIV2K's mean are known.")
    if "res_scale" in arguments:
        encoder["residual_scale"] = arguments["res_scale"]
    upsampler["average"] = arguments["geo_ensemble"]
    upsampler["scales"] = [scale for scale in _SCALES if scale <= arguments["max_s"]]
    large = family.ours == "edsr" and {**encoder, **_LARGE} == encoder
    ours, name = "edsr-large" if large else family.ours, "igconv-plus" if plus else "igconv"
    made_by = UPSAMPLERS[name]
    backbone = made_by.backbones[ours]
    build = make_build(
        f"{ours}-{name}",
        encoder=differing(encoder, {**our_defaults(ours), **backbone.encoder}),
        upsampler=differing(upsampler, {**defaults_of(made_by), **backbone.upsampler}),
    )
    architecture(build.method)
    return Bare(PROJECT, build, "unit", note, averaged=True)


def architecture(method: Method) -> str:
    """Return the official name of a method's network; HarnessError where there is none."""
    for family in FAMILIES:
        names = dict(zip(("igconv", "igconv-plus"), family.names, strict=True))
        if method.encoder.removesuffix("-large") == family.ours and names.get(method.upsampler):
            return names[method.upsampler]
    raise HarnessError(f"The IGConv project has no network like {method.name}.")


def _family(state: State) -> Family:
    for family in FAMILIES:
        if family.sign in state and f"{family.place}.freq" in state:
            return family
    names = ", ".join(sorted({name for family in FAMILIES for name in family.names if name}))
    raise HarnessError(
        "The checkpoint is an IGConv network over an encoder that the harness does not have.",
        f"It has {names}.",
    )


def _released(family: Family, plus: bool, encoder: Options) -> tuple[dict[str, Any], str]:
    """Return what the project's option files say, and a note that it is assumed."""
    found: dict[str, Any] = {**_DEFAULTS, "geo_ensemble": plus}
    words = f"taken to {'average' if plus else 'leave'} its kernels"
    if family.ours == "edsr":
        # The project's option files have the large EDSR only; 1 is its code's default.
        found["res_scale"] = 0.1 if encoder["features"] >= _LARGE["features"] else 1
        words += f" and to scale residuals by {found['res_scale']:g}"
    if family.ours == "rcan":
        found["max_s"] = 8
    return found, f"{words}, as the released networks do; the file does not say"


def _check_shown(family: Family, plus: bool, network: Spec, sizes: Mapping[str, Any]) -> None:
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
