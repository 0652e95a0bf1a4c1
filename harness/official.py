"""Checkpoints of the official repositories, mapped onto our networks.

The LIIF and LTE projects store `{"model": {"name", "args", "sd"}, ...}`. Each architecture has
one adapter: it turns (args, state dict) into a network and our key of every official one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from baselines import build
from baselines.composition import FixedScaleLookup, FixedScaleSR, ImplicitSR, MLPHead
from baselines.encoders import EDSR
from baselines.liif import LIIFDecoder
from baselines.lte import LTEDecoder
from baselines.registry import unknown
from harness.errors import HarnessError
from harness.state_dicts import load_strictly

StateDict = dict[str, Tensor]

# The colour shift is in the official state dicts, but switched off in the LIIF family.
_UNUSED = ("sub_mean.", "add_mean.")


@dataclass(frozen=True)
class Imported:
    """An official network.

    Attributes:
        method: our name of it, if its sizes are the paper's; "" where we have none (ablations).
        network: without the checkpoint's weights yet.
        prefixes: official prefix of a key, and ours; the first that fits is used.
    """

    method: str
    network: nn.Module
    prefixes: tuple[tuple[str, str], ...]


def _take(what: str, args: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Official arguments over their official defaults; an unknown one is refused."""
    for key in args:
        if key not in defaults:
            raise HarnessError(
                f"The checkpoint's {what} has an argument this version does not know: {key}."
            )
    return {**defaults, **args}


def _edsr(args: Mapping[str, Any]) -> EDSR:
    known = {
        "n_resblocks": 16,
        "n_feats": 64,
        "res_scale": 1,
        "scale": 2,
        "no_upsampling": False,
        "rgb_range": 1,
    }
    a = _take("EDSR", args, known)
    if a["res_scale"] != 1:
        raise HarnessError("Only EDSR-baseline (res_scale 1) is supported.")
    return EDSR(a["n_resblocks"], a["n_feats"], None if a["no_upsampling"] else a["scale"])


_ENCODERS: dict[str, tuple[str, Callable[[Mapping[str, Any]], EDSR]]] = {
    "edsr-baseline": ("edsr", _edsr)
}


def _encoder(spec: Mapping[str, Any]) -> tuple[str, EDSR]:
    """Our name and network of an official encoder specification."""
    if spec["name"] not in _ENCODERS:
        raise HarnessError(unknown("official encoder", str(spec["name"]), _ENCODERS))
    name, make = _ENCODERS[spec["name"]]
    return name, make(spec.get("args") or {})


def _hidden(spec: Mapping[str, Any]) -> tuple[int, int]:
    """Width and number of linear layers of an official MLP specification."""
    hidden = list(spec["args"]["hidden_list"])
    if spec["name"] != "mlp" or len(set(hidden)) != 1 or spec["args"].get("out_dim", 3) != 3:
        raise HarnessError(f"The checkpoint's MLP is of a kind this version does not know: {spec}")
    return hidden[0], len(hidden) + 1


def _liif(args: Mapping[str, Any]) -> Imported:
    known = {
        "encoder_spec": None,
        "imnet_spec": None,
        "local_ensemble": True,
        "feat_unfold": True,
        "cell_decode": True,
    }
    a = _take("LIIF", args, known)
    name, encoder = _encoder(a["encoder_spec"])
    if a["imnet_spec"] is None:
        if encoder.scale is None:
            raise HarnessError("The checkpoint holds an encoder alone, which makes no image.")
        lookup = FixedScaleLookup(encoder, encoder.scale)
        return Imported("", lookup, (("encoder.", "network."),))
    width, depth = _hidden(a["imnet_spec"])
    decoder = LIIFDecoder(
        encoder.out_channels, width, depth, unfold=a["feat_unfold"], cell=a["cell_decode"]
    )
    standard = a["local_ensemble"] and a["feat_unfold"] and a["cell_decode"] and depth == 5
    head = MLPHead(decoder.fed_dim, width, depth)
    return Imported(
        f"{name}-liif" if standard else "",
        ImplicitSR(encoder, decoder, head, ensemble=a["local_ensemble"]),
        (("encoder.", "encoder."), ("imnet.", "head.mlp.")),
    )


def _lte(args: Mapping[str, Any]) -> Imported:
    a = _take("LTE", args, {"encoder_spec": None, "imnet_spec": None, "hidden_dim": 256})
    name, encoder = _encoder(a["encoder_spec"])
    width, depth = _hidden(a["imnet_spec"])
    decoder = LTEDecoder(encoder.out_channels, a["hidden_dim"], depth)
    ours = (("encoder.", "encoder."), ("imnet.", "head.mlp."))
    own = tuple((f"{part}.", f"decoder.{part}.") for part in ("coef", "freq", "phase"))
    return Imported(
        f"{name}-lte" if depth == 4 else "",
        ImplicitSR(encoder, decoder, MLPHead(decoder.fed_dim, width, depth)),
        (*ours, *own),
    )


def _edsr_alone(args: Mapping[str, Any]) -> Imported:
    encoder = _edsr(args)
    if encoder.scale is None:
        raise HarnessError("The checkpoint holds an encoder alone, which makes no image.")
    return Imported("", FixedScaleSR(encoder, encoder.scale), (("", "network."),))


ADAPTERS: dict[str, Callable[[Mapping[str, Any]], Imported]] = {
    "liif": _liif,
    "lte": _lte,
    "edsr-baseline": _edsr_alone,
}


def _our_key(key: str, prefixes: tuple[tuple[str, str], ...]) -> str | None:
    for official, ours in prefixes:
        if key.startswith(official):
            return ours + key[len(official) :]
    return None


def import_model(model: Mapping[str, Any]) -> tuple[str, nn.Module]:
    """Network, with weights, of the `model` entry of an official checkpoint.

    Returns:
        our method name ("" where there is none), and the network.

    Raises:
        HarnessError: unknown architecture, or keys and shapes that do not fit (all are listed).
    """
    name = str(model["name"])
    if name not in ADAPTERS:
        raise HarnessError(unknown("official architecture", name, ADAPTERS))
    imported = ADAPTERS[name](model.get("args") or {})
    state: StateDict = {}
    extra = []
    for key, value in model["sd"].items():
        if any(key.startswith(u) or f".{u}" in key for u in _UNUSED):
            continue
        ours = _our_key(key, imported.prefixes)
        if ours is None:
            extra.append(key)
        else:
            state[ours] = value
    load_strictly(imported.network, state, f"official {name} checkpoint", extra)
    method = imported.method
    return (method if method and _of_paper_size(imported.network, method) else ""), imported.network


def _of_paper_size(network: nn.Module, method: str) -> bool:
    """Whether a network has the shapes of a method at the paper's sizes."""
    with torch.device("meta"):
        wanted = build(method).state_dict()
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    return shapes == {key: value.shape for key, value in wanted.items()}
