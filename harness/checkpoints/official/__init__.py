"""Checkpoints of the official projects, read into our networks and written from them.

The LIIF and LTE projects store `{"model": {"name", "args", "sd"}, ...}` (`specifications`), SwinIR,
SeemoRe and IGConv a state dict, bare or under `params`; EDSR's project and RDN-pytorch bare state
dicts (`bare`, `igconv`). Both become a `Build`: a method and options of `baselines.build`. Weights
have the same names as in our state dicts (`baselines.names`). Entries that only the official
constructors need are checked and made anew (`constructed`).
"""

from harness.checkpoints.official.builds import Spec, beyond_weights, build_in_words, method_name
from harness.checkpoints.official.constructed import Unneeded
from harness.checkpoints.official.files import Official, read_official, write_official

__all__ = [
    "Official",
    "Spec",
    "Unneeded",
    "beyond_weights",
    "build_in_words",
    "method_name",
    "read_official",
    "write_official",
]
