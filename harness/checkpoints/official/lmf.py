"""Specifications of the LMF project: LM-LIIF and LM-LTE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.registry import parse
from harness.checkpoints.official.adapter import Options, decoder_options, differing, take
from harness.checkpoints.official.plans import Plan, feature_encoder
from harness.common.errors import HarnessError

NAMES = ("lmliif", "lmlte")
_RENDER = {
    "in_dim": 0,
    "out_dim": 3,
    "hidden_dim": 16,
    "hidden_depth": 0,
    "mod_scale": True,
    "mod_shift": True,
    "mod_up_merge": False,
    "use_conv": False,
}
_SHARED = {
    "encoder_spec": None,
    "imnet_spec": None,
    "hypernet_spec": None,
    "local_ensemble": True,
    "cell_decode": True,
    "mod_input": False,
    "cmsr_spec": None,
}


def lmliif(args: Mapping[str, Any]) -> Plan:
    """Make our options from LM-LIIF's arguments."""
    a = take("LM-LIIF", args, {**_SHARED, "feat_unfold": True})
    options = {
        **_sizes(a),
        "unfold": bool(a["feat_unfold"]),
        "cell": bool(a["cell_decode"]),
        "compressed": bool(a["mod_input"]),
    }
    return _plan("lmliif", a, options)


def lmlte(args: Mapping[str, Any]) -> Plan:
    """Make our options from LM-LTE's arguments."""
    a = take("LM-LTE", args, {**_SHARED, "hidden_dim": 128})
    if not a["mod_input"]:
        raise HarnessError(
            "The checkpoint's LM-LTE renders with the encoder's own amplitudes (mod_input is not "
            "set), which this version does not know."
        )
    options = {**_sizes(a), "fourier_width": a["hidden_dim"], "cell": bool(a["cell_decode"])}
    return _plan("lmlte", a, options)


def _sizes(a: Mapping[str, Any]) -> Options:
    """Make the sizes of render MLP and latent MLP."""
    render = take("render MLP", a["imnet_spec"]["args"], _RENDER)
    latent = take("latent MLP", a["hypernet_spec"]["args"], {"out_dim": 0, "hidden_list": ()})
    modulated = render["mod_scale"] and render["mod_shift"]
    if not modulated or render["use_conv"] or render["out_dim"] != 3:
        raise HarnessError(
            "The checkpoint's render MLP is of a kind this version does not know (known: linear "
            f"layers with scale and shift, three outputs): {dict(a['imnet_spec'])}"
        )
    if len(latent["hidden_list"]) != 1:
        raise HarnessError(
            f"The checkpoint's latent MLP has {len(latent['hidden_list'])} hidden layers; known is "
            "one."
        )
    return {
        "width": render["hidden_dim"],
        "depth": render["hidden_depth"] + 1,
        "latent_width": latent["hidden_list"][0],
    }


def _plan(name: str, a: Mapping[str, Any], decoder: Options) -> Plan:
    if a["cmsr_spec"] is not None:
        raise HarnessError(
            "The checkpoint brings tables of multi-scale rendering (cmsr_spec), which are not part "
            "of a network here.",
            "Make them with `harness cmsr`, or leave the key out.",
        )
    part = feature_encoder(a["encoder_spec"])
    method = f"{part.adapter.ours}-{name}"
    options: dict[str, Any] = {
        "encoder": part.options,
        "decoder": differing(decoder, decoder_options(parse(method), {})),
    }
    options = {key: value for key, value in options.items() if value}
    if not a["local_ensemble"]:
        options["ensemble"] = False
    return Plan(method, options, part.adapter)


def arguments(name: str, made: Options, options: Mapping[str, Any]) -> dict[str, Any]:
    """Make the official arguments of LMF from complete options, without its encoder's.

    Args:
        name: lmliif or lmlte.
        made: options of the decoder.
        options: options of `baselines.build`.
    """
    width, depth = made["width"], made["depth"]
    render = {"out_dim": 3, "hidden_dim": width, "hidden_depth": depth - 1}
    modulations = 2 * width * (depth - 1)
    own: dict[str, Any] = {"hidden_dim": made.get("fourier_width"), "mod_input": True}
    code = 2 * width
    if name == "lmliif":
        own = {"feat_unfold": made["unfold"], "mod_input": made["compressed"]}
        code = width if made["compressed"] else 0
    latent = {"out_dim": modulations + code, "hidden_list": [made["latent_width"]]}
    return {
        "imnet_spec": {"name": "lmmlp", "args": {**render, "mod_scale": True, "mod_shift": True}},
        "hypernet_spec": {"name": "mlp", "args": latent},
        "local_ensemble": options.get("ensemble", True),
        **own,
        "cell_decode": made["cell"],
    }
