"""Checkpoints of our format as safetensors files, for weights that are handed on.

The weights are tensors; all else is JSON in the header, so that it cannot be separated from them.
Nothing in such a file can be executed. The format has no checksums: ours are in the JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from harness.checkpoints.state_dicts import weights_hash
from harness.common import checksums
from harness.common.errors import HarnessError
from harness.common.files import replacing

SUFFIX = ".safetensors"
_KEY = "moeisr-harness"
_VALUES = "values"  # hash of the tensors as they are stored


def write_safetensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint; its `state_dict` as tensors, all else must be JSON."""
    state: dict[str, Tensor] = {k: v.contiguous() for k, v in content["state_dict"].items()}
    rest = {key: value for key, value in content.items() if key != "state_dict"}
    text = json.dumps(checksums.with_checksum({**rest, _VALUES: weights_hash(state)}))
    with replacing(path) as temporary:
        temporary.write_bytes(save(state, {_KEY: text}))


def read_safetensors(path: Path, weights: bool = True) -> dict[str, Any]:
    """Read a checkpoint, or what it says of itself alone (`weights`: without its `state_dict`).

    Raises:
        HarnessError: there is no file, it is damaged, or not a checkpoint of ours.
    """
    if not path.is_file():
        raise HarnessError(f"There is no checkpoint {path}.", "Check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            said = (file.metadata() or {}).get(_KEY)
            state = {key: file.get_tensor(key) for key in (file.keys() if weights else ())}
        if said is None:
            raise HarnessError(
                f"{path} says nothing of its network: no checkpoint of ours.",
                "Other files are read as the official projects save them (`harness "
                "import-checkpoint --help`).",
            )
        content = checksums.parse(said, required=True)
        values = content.pop(_VALUES, None)
        if weights and values != weights_hash(state):
            raise ValueError("its weights are not those that were written (wrong checksum)")
    except (SafetensorError, ValueError, OSError) as error:
        raise HarnessError(
            f"{path} is damaged: {error}", "Copy it again, or install the harness again."
        ) from error
    return {**content, "state_dict": state} if weights else content
