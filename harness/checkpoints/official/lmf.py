"""Specifications of the LMF project: LM-LIIF and LM-LTE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.decoders.lmf import LMDecoder, LMLIIFDecoder, LMLTEDecoder
from baselines.registry import DECODERS
from baselines.systems.implicit import ImplicitSR
from harness.checkpoints.official.adapter import Options, differing, take
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
    options: dict[str, Any] = {
        "encoder": part.options,
        "decoder": differing(decoder, _defaults(name, part.adapter.ours)),
    }
    options = {key: value for key, value in options.items() if value}
    if not a["local_ensemble"]:
        options["ensemble"] = False
    return Plan(f"{part.adapter.ours}-{name}", options, part.adapter)


def _defaults(name: str, encoder: str) -> Options:
    """Return our options where `baselines.build` is given none."""
    usual = {
        "lmliif": {"depth": 7, "latent_width": 208, "unfold": True, "compressed": True},
        "lmlte": {"depth": 9, "latent_width": 288, "fourier_width": 128},
    }
    changed = DECODERS[name].for_encoder.get(encoder, {})
    return {"width": 16, "cell": True, **usual[name], **changed}


def args_of(model: ImplicitSR) -> dict[str, Any]:
    """Make the official arguments of one of our networks, without its encoder's."""
    decoder = model.decoder
    assert isinstance(decoder, LMDecoder)
    render = {"out_dim": 3, "hidden_dim": decoder.width, "hidden_depth": decoder.depth - 1}
    hidden, last = decoder.latent.linears
    latent = {"out_dim": last.out_features, "hidden_list": [hidden.out_features]}
    args: dict[str, Any] = {
        "imnet_spec": {"name": "lmmlp", "args": {**render, "mod_scale": True, "mod_shift": True}},
        "hypernet_spec": {"name": "mlp", "args": latent},
        "local_ensemble": model.ensemble,
    }
    if isinstance(decoder, LMLIIFDecoder):
        own: dict[str, Any] = {"feat_unfold": decoder.unfold, "mod_input": decoder.compressed}
    else:
        assert isinstance(decoder, LMLTEDecoder)
        own = {"hidden_dim": decoder.fourier_width, "mod_input": True}
    return {**args, **own, "cell_decode": decoder.cell}
