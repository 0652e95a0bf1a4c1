"""Checkpoints: written atomically, read without executing anything from the file."""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines import build, parse
from harness.errors import HarnessError
from harness.files import replacing
from harness.official import import_model, import_swinir, is_swinir
from harness.state_dicts import load_strictly

FORMAT = "moeisr-harness/1"


@dataclass(frozen=True)
class Loaded:
    """A network with what its file says of it.

    Attributes:
        model: in evaluation mode, on the CPU.
        method: our name; "" for official networks that have none.
        weights: hash of the weights, which names the checkpoint in measurements.
        meta: everything else in our own format (recipe, step, ...); empty for official files.
    """

    model: nn.Module
    method: str
    weights: str
    meta: dict[str, Any]


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and values of a state dict."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


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
            f"was executed ({str(error).splitlines()[0]}).",
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


def _check_bytes(path: Path) -> None:
    """PyTorch does not look at the checksums that it wrote; damaged weights would load."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        damaged = "its directory"
    if damaged is not None:
        raise HarnessError(f"{path} is damaged ({damaged}).", "Copy or train it again.")


def _from_ours(path: Path, content: dict[str, Any]) -> tuple[str, nn.Module, dict[str, Any]]:
    if content["format"] != FORMAT:
        raise HarnessError(
            f"{path} has format {content['format']!r}, this version reads {FORMAT!r}."
        )
    try:
        method, options, state = content["method"], content["build"], content["state_dict"]
        network = build(method, **options)
        load_strictly(network, state, f"checkpoint {path}")
        int((content.get("recipe") or {"seed": 0})["seed"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise HarnessError(f"{path} is not a complete checkpoint of ours: {error}") from error
    left_out = {"state_dict", "optimizer"}
    return method, network, {k: v for k, v in content.items() if k not in left_out}


def _check_belongs(path: Path, found: str, method: str) -> None:
    parse(method)
    if found != method:
        what = f"{found}" if found else "a network that is none of the harness's methods"
        raise HarnessError(f"{path} belongs to {what}, not to {method}.", "Name its own method.")


def _check_scale(path: Path, model: nn.Module, scale: float | None) -> None:
    own = getattr(model, "scale", None)
    if scale is not None and own is not None and own != scale:
        raise HarnessError(f"{path} enlarges by {own} only, not {scale:g}.", "Ask for that scale.")


def open_checkpoint(
    path: Path | str, method: str | None = None, scale: float | None = None
) -> Loaded:
    """The network of one of our checkpoints or of an official one.

    Args:
        path: the file.
        method: refuse a checkpoint that belongs to another method.
        scale: refuse a fixed-scale network of another scale.

    Raises:
        HarnessError: unreadable, unknown, damaged or unfitting files.
        UnknownMethodError: for an unknown method.
    """
    path = Path(path)
    content = read(path)
    meta: dict[str, Any] = {}
    if "format" in content:
        found, network, meta = _from_ours(path, content)
    elif isinstance(content.get("model"), dict) and {"name", "sd"} <= content["model"].keys():
        try:
            found, network = import_model(content["model"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise HarnessError(
                f"{path} is laid out like an official checkpoint, but is damaged: {error!r}"
            ) from error
    elif is_swinir(bare := content.get("params", content)):
        try:
            found, network = import_swinir(bare)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise HarnessError(f"{path} is a damaged SwinIR checkpoint: {error!r}") from error
    else:
        keys = ", ".join(list(map(str, content))[:5])
        raise HarnessError(
            f"{path} is no checkpoint that this version knows (its keys: {keys}, ...).",
            "It reads its own files and those of the LIIF, LTE and SwinIR projects.",
        )
    if method is not None:
        _check_belongs(path, found, method)
    _check_scale(path, network, scale)
    return Loaded(network.eval(), found, weights_hash(network.state_dict()), meta)


def load_model(
    path: Path | str, method: str | None = None, scale: float | None = None
) -> nn.Module:
    """The network of a checkpoint, ours or official, in evaluation mode on the CPU.

    It is called as the official network is: LIIF family `model(lr, coord, cell)`, lr (B, 3, h,
    w) and the result (B, Q, 3) in [-1, 1], coord and cell (B, Q, 2) as (y, x); fixed-scale
    networks `model(lr)` (those of the LIIF project on [-1, 1] too).

    Args, Raises: as `open_checkpoint`.
    """
    return open_checkpoint(path, method, scale).model
