"""Checkpoints of the official projects, read into our networks and written from them.

The LIIF and LTE projects store `{"model": {"name", "args", "sd"}, ...}` (`specifications`), SwinIR,
SeemoRe and IGConv a state dict, bare or under `params`; EDSR's project and RDN-pytorch bare state
dicts (`bare`, `igconv`). Both become a `Build`: a method and options of `baselines.build`. Weights
have the same names as in our state dicts (`baselines.names`). Entries that only the official
constructors need are checked and made anew (`constructed`).
"""
