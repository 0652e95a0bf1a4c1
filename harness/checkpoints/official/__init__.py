"""Checkpoints of the official projects, read into our networks and written from them.

The LIIF and LTE projects store `{"model": {"name", "args", "sd"}, ...}`, SwinIR, SeemoRe and IGConv
a state dict, bare or under `params`; EDSR's project and RDN-pytorch bare state dicts. A
specification, or the shapes where there is none, becomes a method and options of `baselines.build`
(`networks`, `bare`, `igconv`). Weights have the same names as in our state dicts
(`baselines.names`). Entries that only the official constructors need are checked and made anew
(`constructed`).
"""

from harness.checkpoints.official.constructed import Unneeded
from harness.checkpoints.official.networks import beyond_weights, build_in_words
from harness.checkpoints.official.plans import Spec, method_name
from harness.checkpoints.official.reading import Official, read_official
from harness.checkpoints.official.writing import Written, write_official

__all__ = [
    "Official",
    "Spec",
    "Unneeded",
    "Written",
    "beyond_weights",
    "build_in_words",
    "method_name",
    "read_official",
    "write_official",
]
