"""Conversion of official files to our checkpoints and back, with what each says about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from baselines import UnknownMethodError, parse
from harness import checkpoints
from harness.checkpoints import Loaded
from harness.checkpoints.official.builds import Spec, build_in_words
from harness.checkpoints.official.files import write_official
from harness.checkpoints.state_dicts import DAMAGE
from harness.checkpoints.torch_files import write_torch
from harness.common.errors import HarnessError, UsageError
from harness.common.files import plain_name
from harness.common.versions import versions
from harness.common.yaml_files import parse_keys, read_text

_RANGES = {"signed": "[-1, 1]", "unit": "[0, 1]"}


def describe(loaded: Loaded) -> dict[str, Any]:
    """Describe a checkpoint as plain values, for people and for JSON."""
    official, meta, model = loaded.official, loaded.meta, loaded.model
    scales = model.scales
    return {
        "layout": official.layout if official else checkpoints.FORMAT,
        "project": official.project if official else "",
        "method": loaded.method,
        "name": loaded.method or meta.get("name", ""),
        "network": build_in_words(meta["method"], meta["build"]),
        "scale": scales[0] if scales and len(scales) == 1 else None,
        "scales": None if scales is None else list(scales),
        "values": _RANGES[model.input_range],
        "parameters": model.parameter_count,
        "weights": loaded.weights,
        "origin": meta.get("origin", ""),
        "assumed": official.note if official else "",
        "not_needed": [
            {"why": entry.why, "keys": list(entry.keys)}
            for entry in (official.unneeded if official else ())
        ],
    }


def network_of(options: Path) -> Spec:
    """Read name and arguments of the network from a BasicSR option file.

    Raises:
        HarnessError: the file cannot be read.
        UsageError: the file describes no network.
    """
    text = read_text(options, "option file")
    network = parse_keys(text, str(options), "option file").get("network_g")
    if not isinstance(network, dict) or "type" not in network:
        raise UsageError(f"{options} has no network (`network_g` with its `type`).")
    return {"name": network["type"], "args": {k: v for k, v in network.items() if k != "type"}}


def check_name(name: str, loaded: Loaded) -> None:
    """Refuse a name for a network that already has one, or a name that is taken."""
    if loaded.method:
        raise UsageError(f"This network is {loaded.method}; --name is for those without a method.")
    try:
        plain_name(name)
    except ValueError as error:
        raise UsageError(f"--name takes a word: {error}.") from error
    try:
        parse(name)
    except UnknownMethodError:
        return
    raise UsageError(f"{name} is a method of its own, of other sizes than this network.")


def save_import(loaded: Loaded, source: Path, target: Path, name: str | None = None) -> None:
    """Write a checkpoint in our format, from which it loads unchanged.

    One of our checkpoints is copied with all that it holds. `name` is the name in measurements of a
    network that is none of the harness's methods.
    """
    if loaded.official is None:
        content = {k: v for k, v in checkpoints.read(source).items() if k != "format"}
    else:
        state = {k: v.detach() for k, v in loaded.model.state_dict().items()}
        content = {**loaded.meta, "state_dict": state, "versions": versions()}
    if name is not None:
        content["name"] = name
    checkpoints.save(target, content)


def save_export(loaded: Loaded, target: Path) -> dict[str, Any]:
    """Write a network in the layout of its official project, and describe the file as plain values.

    Raises:
        HarnessError: no official project has such a network, or the file cannot be written.
    """
    meta = loaded.meta
    memory = (meta.get("imported") or {}).get("memory") or {}
    try:
        content, facts = write_official(loaded.model, meta["method"], meta["build"], memory)
    except DAMAGE as error:
        raise HarnessError(
            f"What the checkpoint says of the file it was imported from is damaged: {error!r:.500}",
            "Import that file again.",
        ) from error
    write_torch(target, content)
    return {
        **facts,
        "network": build_in_words(meta["method"], meta["build"]),
        "parameters": loaded.model.parameter_count,
        "weights": loaded.weights,
    }
