"""Checkpoints of the official repositories, mapped onto our networks.

The LIIF and LTE projects store `{"model": {"name", "args", "sd"}, ...}`, SwinIR a state dict, bare
or under `params`. Each architecture has one adapter: it turns arguments (or, where none are
stored, shapes) into a network, and every official key into ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from baselines import build, methods
from baselines.composition import FixedScaleLookup, FixedScaleSR, ImplicitSR, MLPHead
from baselines.encoders import EDSR, RDN, Encoder, SwinIR
from baselines.liif import LIIFDecoder
from baselines.lte import LTEDecoder
from baselines.metasr import MetaSRDecoder
from baselines.registry import unknown
from harness.errors import HarnessError
from harness.state_dicts import load_strictly

StateDict = dict[str, Tensor]
Rules = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Adapter:
    """How one official encoder becomes ours.

    Attributes:
        name: our name of the encoder.
        build: from the official arguments.
        rules: regular expressions of official keys, and what replaces them, applied in turn.
        unused: regular expression of keys that the network does not need.
    """

    name: str
    build: Callable[[Mapping[str, Any]], Encoder]
    rules: Rules
    unused: str

    def rename(self, key: str) -> str | None:
        """Our key of an official one; None where it is not needed."""
        if re.search(self.unused, key):
            return None
        for pattern, replacement in self.rules:
            key = re.sub(pattern, replacement, key)
        return key


@dataclass(frozen=True)
class Imported:
    """An official network.

    Attributes:
        method: our name of it, if its sizes are the paper's; "" where we have none (ablations).
        network: without the checkpoint's weights yet.
        encoder: adapter of its encoder.
        place: (official, our) prefix of the encoder's keys.
        prefixes: official prefix of another key, and ours; the first that fits is used.
    """

    method: str
    network: nn.Module
    encoder: Adapter
    place: tuple[str, str]
    prefixes: Rules = ()

    def our_state(self, state: Mapping[str, Tensor]) -> tuple[StateDict, list[str]]:
        """The state dict under our keys, and the official keys that nothing answers to."""
        ours: StateDict = {}
        extra = []
        for key, value in state.items():
            official, own = self.place
            if key.startswith(official):
                renamed = self.encoder.rename(key[len(official) :])
                if renamed is not None:
                    ours[own + renamed] = value
                continue
            fitting = [(a, b) for a, b in self.prefixes if key.startswith(a)]
            if fitting:
                ours[fitting[0][1] + key[len(fitting[0][0]) :]] = value
            else:
                extra.append(key)
        return ours, extra


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


def _rdn(args: Mapping[str, Any]) -> RDN:
    known = {
        "G0": 64,
        "RDNkSize": 3,
        "RDNconfig": "B",
        "scale": 2,
        "no_upsampling": False,
    }
    a = _take("RDN", args, known)
    if a["RDNkSize"] != 3 or a["RDNconfig"] not in _RDN_CONFIGURATIONS:
        raise HarnessError("Only RDN of configurations A and B with 3x3 kernels is supported.")
    blocks, layers, growth = _RDN_CONFIGURATIONS[a["RDNconfig"]]
    return RDN(a["G0"], blocks, layers, growth, None if a["no_upsampling"] else a["scale"])


_RDN_CONFIGURATIONS = {"A": (20, 6, 32), "B": (16, 8, 64)}


def _swinir(args: Mapping[str, Any]) -> SwinIR:
    """The encoder in the LTE project: everything but the upsampler is fixed there."""
    a = _take("SwinIR", args, {"no_upsampling": False})
    if not a["no_upsampling"]:
        raise HarnessError("SwinIR in the LTE project is supported as an encoder only.")
    return SwinIR()


_ENCODERS = {
    "edsr-baseline": Adapter("edsr", _edsr, (), r"^(sub|add)_mean\."),
    "rdn": Adapter(
        "rdn",
        _rdn,
        (
            (r"^SFENet(\d)", r"shallow\1"),
            (r"^RDBs\.(\d+)\.convs\.(\d+)\.conv\.0", r"blocks.\1.layers.\2.0"),
            (r"^RDBs\.(\d+)\.LFF", r"blocks.\1.fusion"),
            (r"^GFF", "fusion"),
            (r"^UPNet", "tail"),
        ),
        r"^$",
    ),
    "swinir": Adapter(
        "swinir",
        _swinir,
        (
            (r"^conv_first", "first"),
            (r"^patch_embed\.norm", "embed_norm"),
            (r"^layers\.(\d+)\.residual_group\.blocks", r"groups.\1.blocks"),
            (r"^layers\.(\d+)\.conv", r"groups.\1.conv"),
            (r"\.mlp\.fc1", ".mlp.0"),
            (r"\.mlp\.fc2", ".mlp.2"),
            (r"^conv_after_body", "after"),
            (r"^conv_before_upsample", "before_upsampler"),
            (r"^upsample", "tail.0"),
            (r"^conv_last", "tail.1"),
        ),
        r"(relative_position_index|attn_mask)$",
    ),
}


def _encoder(spec: Mapping[str, Any]) -> tuple[Adapter, Encoder]:
    """Adapter and network of an official encoder specification."""
    if spec["name"] not in _ENCODERS:
        raise HarnessError(unknown("official encoder", str(spec["name"]), _ENCODERS))
    adapter = _ENCODERS[spec["name"]]
    return adapter, adapter.build(spec.get("args") or {})


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
    adapter, encoder = _encoder(a["encoder_spec"])
    assert isinstance(encoder, nn.Module)
    if a["imnet_spec"] is None:
        if encoder.scale is None:
            raise HarnessError("The checkpoint holds an encoder alone, which makes no image.")
        lookup = FixedScaleLookup(encoder, encoder.scale)
        return Imported("", lookup, adapter, ("encoder.", "network."))
    width, depth = _hidden(a["imnet_spec"])
    decoder = LIIFDecoder(
        encoder.out_channels, width, depth, unfold=a["feat_unfold"], cell=a["cell_decode"]
    )
    standard = a["local_ensemble"] and a["feat_unfold"] and a["cell_decode"] and depth == 5
    head = MLPHead(decoder.fed_dim, width, depth)
    return Imported(
        f"{adapter.name}-liif" if standard else "",
        ImplicitSR(encoder, decoder, head, ensemble=a["local_ensemble"]),
        adapter,
        ("encoder.", "encoder."),
        (("imnet.", "head.mlp."),),
    )


def _lte(args: Mapping[str, Any]) -> Imported:
    a = _take("LTE", args, {"encoder_spec": None, "imnet_spec": None, "hidden_dim": 256})
    adapter, encoder = _encoder(a["encoder_spec"])
    assert isinstance(encoder, nn.Module)
    width, depth = _hidden(a["imnet_spec"])
    decoder = LTEDecoder(encoder.out_channels, a["hidden_dim"], depth)
    own = tuple((f"{part}.", f"decoder.{part}.") for part in ("coef", "freq", "phase"))
    return Imported(
        f"{adapter.name}-lte" if depth == 4 else "",
        ImplicitSR(encoder, decoder, MLPHead(decoder.fed_dim, width, depth)),
        adapter,
        ("encoder.", "encoder."),
        (("imnet.", "head.mlp."), *own),
    )


def _metasr(args: Mapping[str, Any]) -> Imported:
    a = _take("Meta-SR", args, {"encoder_spec": None})
    adapter, encoder = _encoder(a["encoder_spec"])
    assert isinstance(encoder, nn.Module)
    decoder = MetaSRDecoder(encoder.out_channels)
    head = MLPHead(decoder.fed_dim, decoder.width, decoder.depth, decoder.out_dim)
    return Imported(
        f"{adapter.name}-metasr",
        ImplicitSR(encoder, decoder, head),
        adapter,
        ("encoder.", "encoder."),
        (("imnet.", "head.mlp."),),
    )


def _alone(name: str, args: Mapping[str, Any]) -> Imported:
    """A network with its own upsampler."""
    adapter, network = _encoder({"name": name, "args": args})
    assert isinstance(network, nn.Module)
    if network.scale is None:
        raise HarnessError("The checkpoint holds an encoder alone, which makes no image.")
    method = f"{adapter.name}-x{network.scale}"
    return Imported(method, FixedScaleSR(network, network.scale), adapter, ("", "network."))


ADAPTERS: dict[str, Callable[[Mapping[str, Any]], Imported]] = {
    "liif": _liif,
    "lte": _lte,
    "metasr": _metasr,
    "edsr-baseline": partial(_alone, "edsr-baseline"),
    "rdn": partial(_alone, "rdn"),
}


def is_swinir(state: Mapping[str, Any]) -> bool:
    """Whether a bare state dict is that of a classical SwinIR with its upsampler."""
    return {"conv_first.weight", "patch_embed.norm.weight", "upsample.0.weight"} <= state.keys()


def import_swinir(state: Mapping[str, Tensor]) -> tuple[str, nn.Module]:
    """SwinIR for classical SR, of the sizes that a bare state dict shows.

    Returns: as `import_model`.

    Raises:
        HarnessError: keys and shapes that do not fit (all are listed).
    """
    adapter = _ENCODERS["swinir"]
    network = FixedScaleSR(_swinir_of(state), _swinir_scale(state), input_range="unit")
    ours, extra = Imported("", network, adapter, ("", "network.")).our_state(state)
    load_strictly(network, ours, "SwinIR checkpoint", extra)
    return _named(network, f"swinir-x{network.scale}"), network


def _swinir_of(state: Mapping[str, Tensor]) -> SwinIR:
    block = "layers.{}.residual_group.blocks.{}."
    groups = {int(m.group(1)) for key in state if (m := re.match(r"layers\.(\d+)\.", key))}
    depths = [
        sum(block.format(g, i) + "norm1.weight" in state for i in range(len(state)))
        for g in sorted(groups)
    ]
    table = state[block.format(0, 0) + "attn.relative_position_bias_table"]
    channels = state["conv_first.weight"].shape[0]
    return SwinIR(
        features=state["conv_before_upsample.0.weight"].shape[0],
        channels=channels,
        depths=depths,
        heads=table.shape[1],
        window=(math.isqrt(table.shape[0]) + 1) // 2,
        ratio=state[block.format(0, 0) + "mlp.fc1.weight"].shape[0] // channels,
        scale=_swinir_scale(state),
    )


def _swinir_scale(state: Mapping[str, Tensor]) -> int:
    """From the sub-pixel convolutions: one of nine times the features is x3, else x2 each."""
    first = state["upsample.0.weight"]
    if first.shape[0] == 9 * first.shape[1]:
        return 3
    steps = sum(re.fullmatch(r"upsample\.\d+\.weight", key) is not None for key in state)
    return int(2**steps)


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
    state, extra = imported.our_state(model["sd"])
    load_strictly(imported.network, state, f"official {name} checkpoint", extra)
    return _named(imported.network, imported.method), imported.network


def _named(network: nn.Module, method: str) -> str:
    """The method, if the network has its shapes at the paper's sizes; else an empty string."""
    if method not in methods():
        return ""
    with torch.device("meta"):
        wanted = build(method).state_dict()
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    same = shapes == {key: value.shape for key, value in wanted.items()}
    return method if same else ""
