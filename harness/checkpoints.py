"""Checkpoints: written atomically, read without executing anything from the file."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines import build, methods, parse
from harness.errors import HarnessError, UsageError
from harness.files import replacing
from harness.official import (
    Official,
    Spec,
    beyond_weights,
    build_in_words,
    method_name,
    read_official,
)
from harness.scales import refusal
from harness.state_dicts import load_strictly

FORMAT = "moeisr-harness/1"
# What reading a file raises whose entries are not of the kinds that its layout has.
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError)


@dataclass(frozen=True)
class Loaded:
    """A network with what its file says of it.

    Attributes:
        model: in evaluation mode, on the CPU.
        method: our name; "" for official networks that have none.
        weights: hash of the weights, and of settings that change the answers without showing in
            them (colour values, no ensemble); names the checkpoint in measurements.
        meta: everything else in our own format (method and options of `baselines.build`, recipe,
            step, ...). Of an official file it is what an import keeps: `imported`, `origin`.
        official: what an official file says of itself; None for our own.
    """

    model: nn.Module
    method: str
    weights: str
    meta: dict[str, Any]
    official: Official | None = None


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and values of a state dict."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _identity(network: nn.Module, options: Mapping[str, Any]) -> str:
    """The weights' hash; with settings that they do not show, a hash of both."""
    weights = weights_hash(network.state_dict())
    settings = beyond_weights(options)
    if not settings:
        return weights
    return hashlib.sha256(f"{weights} {json.dumps(settings, sort_keys=True)}".encode()).hexdigest()


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint of our format; the old file stays until the new one is complete."""
    buffer = io.BytesIO()  # torch.save hides what the file system says behind a RuntimeError
    torch.save({"format": FORMAT, **content}, buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read(path: Path) -> dict[str, Any]:
    """The dictionary in a checkpoint file, with `weights_only=True`.

    Raises:
        HarnessError: no file, no checkpoint, or one that wants to execute code.
    """
    if not path.is_file():
        raise HarnessError(f"There is no checkpoint {path}.", "Check the path.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise HarnessError(
            f"{path} holds more than tensors and plain values, or is no checkpoint; nothing of it "
            f"was executed{_refused_part(error)}.",
            "Save its state dict alone, with tensors and plain values.",
        ) from error
    except Exception as error:  # damaged pickles raise anything: IndexError, AttributeError, ...
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise HarnessError(
            f"{path} cannot be read as a checkpoint: {reason}",
            "It may be truncated; copy or train it again.",
        ) from error
    if not isinstance(content, dict):
        raise HarnessError(f"{path} holds a {type(content).__name__}, not a checkpoint.")
    if "format" in content:
        _check_bytes(path)
    return content


def _refused_part(error: Exception) -> str:
    """What PyTorch would not load; the rest of its message tells how to load it nevertheless."""
    found = re.search(r"(?:GLOBAL|Unsupported class) (\S+)", str(error))
    return f" (it names {found[1].rstrip(',.')})" if found else ""


def _check_bytes(path: Path) -> None:
    """PyTorch does not look at the checksums that it wrote; damaged weights would load."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        damaged = "its directory"
    if damaged is not None:
        raise HarnessError(f"{path} is damaged ({damaged}).", "Copy or train it again.")


def _from_ours(path: Path, content: dict[str, Any]) -> Loaded:
    if content["format"] != FORMAT:
        raise HarnessError(
            f"{path} has format {content['format']!r}, this version reads {FORMAT!r}."
        )
    try:
        method, options, state = content["method"], content["build"], content["state_dict"]
        network = build(method, **options)
        load_strictly(network, state, f"checkpoint {path}")
        int((content.get("recipe") or {"seed": 0})["seed"])
        {**(content.get("imported") or {})}.get("memory", {}).keys()
        # A profile names its networks' sizes; an imported network has the paper's or no name.
        name = method_name(method, options) if content.get("imported") else method
    except _DAMAGE as error:
        raise HarnessError(f"{path} is not a complete checkpoint of ours: {error}") from error
    left_out = {"state_dict", "optimizer", "unaveraged"}
    meta = {k: v for k, v in content.items() if k not in left_out}
    if meta.get("finished") is False:
        at = f"step {meta.get('step')} of {meta.get('total_steps')}"
        meta["origin"] = f"UNFINISHED, {at}: {meta.get('origin', 'its training is not known')}"
    return Loaded(network.eval(), name, _identity(network, options), meta)


def _from_official(
    path: Path, content: dict[str, Any], values: str | None, network: Spec | None
) -> Loaded:
    try:
        official = read_official(content, values, network)
    except HarnessError as error:
        raise type(error)(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise HarnessError(
            f"{path} is laid out like an official checkpoint, but is damaged: {error!r}"
        ) from error
    if official is None:
        keys = ", ".join(list(map(str, content))[:5])
        raise HarnessError(
            f"{path} is no checkpoint that this version knows (its keys: {keys}, ...).",
            "It reads its own files, those of the LIIF, LTE, LMF, SwinIR, SeemoRe and IGConv "
            "projects, and state dicts of EDSR-baseline and RDN with their own upsamplers.",
        )
    model, plan = official.network, official.plan
    weights = _identity(model, plan.options)
    return Loaded(model.eval(), plan.name, weights, _kept(path, official), official)


def _kept(path: Path, official: Official) -> dict[str, Any]:
    """What our format keeps of an official file."""
    layout = f"{path.name}, in the layout of the {official.project}"
    note = f" ({official.note})" if official.note else ""
    return {
        "method": official.plan.method,
        "build": official.plan.options,
        "name": path.name if path.stem in methods() else path.stem,
        "origin": f"{layout}{note}; its training is not known",
        "imported": {
            "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "layout": official.layout,
            "project": official.project,
            "note": official.note,
            "memory": official.memory,
        },
    }


def _check_belongs(path: Path, loaded: Loaded, method: str) -> None:
    parse(method)
    if loaded.method == method:
        return
    if loaded.method:
        found, remedy = loaded.method, "Name its own method."
    else:
        made = build_in_words(loaded.meta["method"], loaded.meta["build"])
        found, remedy = f"none of the harness's methods ({made})", "Leave the method out."
    raise HarnessError(f"{path} belongs to {found}, not to {method}.", remedy)


def _check_scale(path: Path, model: nn.Module, scale: float | None) -> None:
    reason = "" if scale is None else refusal(model, scale)
    if reason:
        raise HarnessError(f"{path} {reason}.", "Ask for another scale.")


def open_checkpoint(
    path: Path | str,
    method: str | None = None,
    scale: float | None = None,
    values: str | None = None,
    network: Spec | None = None,
) -> Loaded:
    """The network of one of our checkpoints or of an official one.

    Args:
        path: the file.
        method: refuse a checkpoint that belongs to another method.
        scale: refuse a network that cannot do it.
        values: that the layers of an official network see, for files that do not say it (state
            dicts of EDSR and RDN): signed, unit or bytes. None: as the LIIF project's, signed.
        network: {"name", "args"} of an official network, for files that do not say them (IGConv's):
            what its project's option file has as `type` and beside it under `network_g`. None: as
            the released files have them.

    Raises:
        HarnessError: unreadable, unknown, damaged or unfitting files.
        UnknownMethodError: for an unknown method.
    """
    path = Path(path)
    content = read(path)
    if "format" in content:
        if values is not None or network is not None:
            raise UsageError(f"{path} says itself what network it holds.")
        loaded = _from_ours(path, content)
    else:
        loaded = _from_official(path, content, values, network)
    if method is not None:
        _check_belongs(path, loaded, method)
    _check_scale(path, loaded.model, scale)
    return loaded


def load_model(
    path: Path | str,
    method: str | None = None,
    scale: float | None = None,
    network: Spec | None = None,
) -> nn.Module:
    """The network of a checkpoint, ours or official, in evaluation mode on the CPU.

    It is called as the official network is: LIIF family `model(lr, coord, cell)`, lr (B, 3, h,
    w) and the result (B, Q, 3) in [-1, 1], coord and cell (B, Q, 2) as (y, x); fixed-scale
    networks `model(lr)` (those of the LIIF project on [-1, 1] too, `model.input_range` says it);
    networks for several integer scales `model(lr, scale)` on [0, 1].

    Args, Raises: as `open_checkpoint`.
    """
    return open_checkpoint(path, method, scale, network=network).model
