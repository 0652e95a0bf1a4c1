"""Give checkpoints of the first format the official names of weights, with the same values.

    python results/convert_names.py FOLDER

Checkpoints below the folder are written again in today's format. The hashes of their weights, which
cover the names, are replaced in accepted numbers (`*.json`) there. `results/golden` was converted so
on 2026-11-30.
"""

from __future__ import annotations

import sys
from pathlib import Path

from baselines.names import officially_named
from harness import checkpoints


def converted(path: Path) -> tuple[str, str]:
    """Write a checkpoint again; returns the hash of its weights before and after."""
    content = {key: value for key, value in checkpoints.read(path).items() if key != "format"}
    network = checkpoints.load_model(path)
    parameters = {key: value.detach() for key, value in network.named_parameters()}
    assert officially_named(network, parameters).keys() == content["state_dict"].keys()
    checkpoints.save(path, content)
    return checkpoints.weights_hash(parameters), checkpoints.weights_hash(content["state_dict"])


def main(folder: Path) -> None:
    """Convert a folder."""
    hashes = dict(converted(path) for path in sorted(folder.rglob("checkpoint.pt")))
    for path in sorted(folder.rglob("*.json")):
        text = path.read_text(encoding="utf-8")
        for old, new in hashes.items():
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
