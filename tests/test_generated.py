"""Official checkpoints of other sizes, widths, depths and options, held against a plain float64
statement of the official computation: odd and tiny images, batches, real scales, borders."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import official_shapes as shapes
import plain_official as plain
import pytest
import torch
from parity import generate

from baselines.geometry import make_cell, make_coord
from harness.checkpoints import load_model

SIZES = [(1, 1), (1, 7), (3, 2), (5, 4)]
SCALES = [1, 2, 3.37, 7.5]
RULES = [
    (r"encoder\.body\.\d+\.body\.", 0.7),
    (r"RDBs\..*LFF", 0.5),
    (r"^(encoder\.)?SFENet1", 2.0),
    (r"encoder\.", 0.8),
    (r"mlp\.|layers\.\d+\.conv", 0.6),
]


def image(batch: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def queries(size: tuple[int, int], scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A few pixels of the HR grid, corners, borders, pixel centres and anywhere, (Q, 2)."""
    rng = np.random.default_rng(round(100 * scale) + size[1])
    hr = (max(round(size[0] * scale), 1), max(round(size[1] * scale), 1))
    grid = make_coord(hr)
    some = grid[torch.from_numpy(rng.integers(0, len(grid), 8))]
    inside = np.nextafter(np.float32(1), np.float32(0))
    border = [(-1, -1), (-1, 1), (1, -1), (1, 1), (1, 0.3), (0.1, -1), (inside, -inside)]
    centres = make_coord(size)[torch.from_numpy(rng.integers(0, size[0] * size[1], 3))]
    anywhere = rng.uniform(-1, 1, (8, 2))
    points = [some, torch.tensor(border), centres, torch.from_numpy(anywhere)]
    coord = torch.cat([p.float() for p in points])
    return coord, make_cell(hr).expand_as(coord)


Point = tuple[float, float]
Answer = Callable[[np.ndarray, np.ndarray, Point, Point], np.ndarray]
"""The colour of a query: of the network's input, the features, the coordinate and the cell."""


def expected(answer: Answer, lr: np.ndarray, feat: np.ndarray, coord: Any, cell: Any) -> Any:
    """The answer to one query; None where rounding of the coordinates decides it."""
    here = answer(lr, feat, coord, cell)
    for dy, dx in [(3e-7, 3e-7), (3e-7, -3e-7), (-3e-7, 3e-7), (-3e-7, -3e-7)]:
        moved = answer(lr, feat, (coord[0] + dy, coord[1] + dx), cell)
        if np.abs(moved - here).max() > 5e-5:
            return None
    return here


def compare(path: Path, encode: Callable[[torch.Tensor], torch.Tensor], answer: Answer) -> None:
    """Our network on a file against the plain statement, on every size and scale."""
    model = load_model(path)
    compared = total = 0
    largest = 0.0
    for size, scale in zip(SIZES, SCALES, strict=True):
        lr = image(2, size) * 2 - 1
        coord, cell = queries(size, scale)
        with torch.no_grad():
            out = model(lr, coord.expand(2, -1, 2), cell.expand(2, -1, 2)).double().numpy()
        feats = encode(lr.double()).numpy()
        for b in range(2):
            for q in range(0, len(coord), 1 + b):  # the second image: every other query
                point = tuple(coord[q].double().tolist()), tuple(cell[q].double().tolist())
                right = expected(answer, lr[b].double().numpy(), feats[b], *point)
                total += 1
                if right is not None:
                    compared += 1
                    largest = max(largest, np.abs(right).max())
                    assert np.abs(out[b, q] - right).max() <= 1e-4, (size, scale, b, point)
    assert compared > 0.8 * total
    assert largest > 0.1, "the answers must not vanish"


def saved(path: Path, name: str, args: dict[str, Any], shape: Any) -> Any:
    """A file in the layout of the LIIF project; returns its state dict."""
    state = generate(shape, RULES)
    torch.save({"model": {"name": name, "args": args, "sd": state}, "epoch": 1}, path)
    return state


def spec(name: str, **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args}


def edsr_spec(blocks: int, features: int) -> dict[str, Any]:
    return spec("edsr-baseline", n_resblocks=blocks, n_feats=features, no_upsampling=True)


LIIF = {
    "one-layer": (2, 6, [], {}),
    "narrow": (1, 5, [12], {}),
    "deep": (1, 4, [8] * 7, {}),
    "funnel": (1, 4, [8, 24, 8], {"local_ensemble": False}),
    "no-unfold": (3, 8, [16, 16], {"feat_unfold": False}),
    "no-cell": (0, 7, [16, 16], {"cell_decode": False}),
    "all-off": (1, 4, [10, 10],
                {"local_ensemble": False, "feat_unfold": False, "cell_decode": False}),
}  # fmt: skip


@pytest.mark.parametrize("name", LIIF)
def test_liif(name, tmp_path):
    blocks, features, hidden, options = LIIF[name]
    code = features * (9 if options.get("feat_unfold", True) else 1)
    inside = code + (4 if options.get("cell_decode", True) else 2)
    names = shapes.below("encoder", shapes.edsr(blocks, features))
    names |= shapes.mlp("imnet", [inside, *hidden, 3])
    imnet = spec("mlp", out_dim=3, hidden_list=hidden)
    args = {"encoder_spec": edsr_spec(blocks, features), "imnet_spec": imnet, **options}
    state = saved(tmp_path / "x.pth", "liif", args, names)
    switches = {"local_ensemble": "ensemble", "feat_unfold": "unfold", "cell_decode": "cell_decode"}
    given = {switches[key]: value for key, value in options.items()}
    compare(
        tmp_path / "x.pth",
        partial(plain.edsr, plain.part(state, "encoder")),
        partial(plain.liif, state, **given),
    )


def test_liif_over_rdn(tmp_path):
    names = shapes.below("encoder", shapes.rdn(6, (20, 6, 32)))
    names |= shapes.mlp("imnet", [9 * 6 + 4, 12, 12, 3])
    encoder = spec("rdn", G0=6, RDNconfig="A", no_upsampling=True)
    args = {"encoder_spec": encoder, "imnet_spec": spec("mlp", out_dim=3, hidden_list=[12, 12])}
    state = saved(tmp_path / "x.pth", "liif", args, names)
    compare(
        tmp_path / "x.pth",
        lambda lr: plain.rdn(plain.part(state, "encoder"), lr, (20, 6), None),
        partial(plain.liif, state),
    )


@pytest.mark.parametrize(("width", "hidden"), [(8, [8, 8, 8]), (6, [16]), (12, [5, 9]), (4, [4])])
def test_lte(width, hidden, tmp_path):
    names = shapes.below("encoder", shapes.edsr(1, 6))
    names |= shapes.layer("coef", width, 6) | shapes.layer("freq", width, 6)
    names |= {"phase.weight": (width // 2, 2)} | shapes.mlp("imnet", [width, *hidden, 3])
    imnet = spec("mlp", out_dim=3, hidden_list=hidden)
    args = {"encoder_spec": edsr_spec(1, 6), "imnet_spec": imnet, "hidden_dim": width}
    state = saved(tmp_path / "x.pth", "lte", args, names)
    compare(
        tmp_path / "x.pth",
        partial(plain.edsr, plain.part(state, "encoder")),
        partial(plain.lte, state),
    )


@pytest.mark.parametrize("features", [3, 8])
def test_metasr(features, tmp_path):
    names = shapes.below("encoder", shapes.edsr(2, features))
    names |= shapes.mlp("imnet", [3, 256, 27 * features])
    args = {"encoder_spec": edsr_spec(2, features)}
    state = saved(tmp_path / "x.pth", "metasr", args, names)
    compare(
        tmp_path / "x.pth",
        partial(plain.edsr, plain.part(state, "encoder")),
        partial(plain.metasr, state),
    )


# Networks with their own upsampler


def compare_images(path: Path, answer: Callable[[torch.Tensor], torch.Tensor]) -> None:
    model = load_model(path)
    signed = model.input_range == "signed"
    for size in SIZES:
        lr = image(2, size, seed=1)
        given = lr * 2 - 1 if signed else lr
        with torch.no_grad():
            out = model(given)
        right = torch.cat([answer(one[None]) for one in given.double()])
        assert out.shape == right.shape == (2, 3, *(model.scale * n for n in size))
        assert (out - right).abs().max() <= 1e-4, size
        assert right.std() > 1e-2 or math.prod(size) == 1


@pytest.mark.parametrize(("scale", "blocks", "features"), [(2, 1, 6), (3, 0, 4), (4, 2, 5)])
def test_edsr_with_its_upsampler(scale, blocks, features, tmp_path):
    args = {"n_resblocks": blocks, "n_feats": features, "scale": scale}
    names = shapes.edsr(blocks, features, scale)
    state = saved(tmp_path / "x.pth", "edsr-baseline", args, names)
    compare_images(tmp_path / "x.pth", partial(plain.edsr, state))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_rdn_with_its_upsampler(scale, tmp_path):
    args = {"G0": 5, "RDNconfig": "A", "scale": scale}
    state = saved(tmp_path / "x.pth", "rdn", args, shapes.rdn(5, (20, 6, 32), scale))
    compare_images(tmp_path / "x.pth", lambda lr: plain.rdn(state, lr, (20, 6), scale))


@pytest.mark.parametrize(
    ("scale", "sizes"),
    [
        (2, {"channels": 6, "depths": [2], "heads": 3, "window": 4, "ratio": 2}),
        (3, {"channels": 8, "depths": [1, 3], "heads": 2, "window": 3, "ratio": 1}),
        (4, {"channels": 4, "depths": [2, 1], "heads": 1, "window": 2, "ratio": 4, "features": 5}),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "params", "params_ema"])
def test_swinir(wrapper, scale, sizes, tmp_path):
    state = generate(shapes.swinir(**sizes, scale=scale), RULES)
    torch.save({wrapper: state} if wrapper else state, tmp_path / "x.pth")
    compare_images(tmp_path / "x.pth", lambda lr: plain.swinir(state, lr, sizes["window"], scale))


SEEMORE_RULES = [
    (r"gate\.body", 3.0),
    (r"^conv_1\.", 4.0),
    (r"agg_conv", 1.5),
    (r"block\.proj|fn_2", 0.7),
    (r"^upsampler", 0.3),
    (r".", 1.0),
]
# (scale, groups, channels, ranks, kernel), and what the file does not say: recursion, shuffle.
SEEMORE = {
    "t": ((3, 6, 36, (2, 4, 8), 11), (2, True)),
    "l": ((2, 16, 48, (2, 4, 8), 11), (1, False)),
    "narrow": ((4, 1, 5, (1, 3), 3), (2, True)),
}


@pytest.mark.parametrize("name", SEEMORE)
@pytest.mark.parametrize("wrapper", ["", "params", "params_ema"])
def test_seemore(wrapper, name, tmp_path):
    """Size L has no parity case; here its depth, its one reduction and its views unmixed."""
    (scale, groups, channels, ranks, kernel), unseen = SEEMORE[name]
    state = generate(shapes.seemore(groups, channels, scale, ranks, kernel), SEEMORE_RULES)
    torch.save({wrapper: state} if wrapper else state, tmp_path / "x.pth")
    compare_images(tmp_path / "x.pth", lambda lr: plain.seemore(state, lr, scale, *unseen)[0])


@pytest.mark.parametrize("name", SEEMORE)
def test_seemores_choice(name, tmp_path):
    (scale, groups, channels, ranks, kernel), unseen = SEEMORE[name]
    state = generate(shapes.seemore(groups, channels, scale, ranks, kernel), SEEMORE_RULES)
    torch.save({"params": state}, tmp_path / "x.pth")
    lr = image(3, (17, 22), seed=2)
    with torch.no_grad():
        chosen = load_model(tmp_path / "x.pth").network.enlarge(lr)[1]
    right = [plain.seemore(state, one[None], scale, *unseen)[1] for one in lr.double()]
    assert chosen.tolist() == right
    assert len(set(chosen.flatten().tolist())) > 1 or groups == 1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_edsr_projects_own_files(scale, tmp_path):
    """Values from 0 to 255 less the mean colour, which the file's shift layers tell."""
    shift = torch.tensor([0.4488, 0.4371, 0.4040]) * 255
    eye = torch.eye(3)[:, :, None, None]
    # Features of such values are about 255 times as large.
    state = generate(shapes.edsr(2, 6, scale), [])
    state["head.0.weight"] /= 50
    state["tail.1.weight"] *= 10
    means = {"sub_mean.weight": eye, "sub_mean.bias": -shift}
    means |= {"add_mean.weight": eye, "add_mean.bias": shift}
    torch.save({**means, **state}, tmp_path / "x.pth")

    def answer(lr: torch.Tensor) -> torch.Tensor:
        shifted = lr * 255 - shift.double()[:, None, None]
        return (plain.edsr(state, shifted) + shift.double()[:, None, None]) / 255

    compare_images(tmp_path / "x.pth", answer)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_rdn_pytorch_files(scale, tmp_path):
    """RDN-pytorch works on [0, 1] and has names of its own."""
    state = generate(shapes.pytorch_rdn(6, 3, 2, scale), [])
    torch.save(state, tmp_path / "x.pth")
    names = {"sfe1": "SFENet1", "sfe2": "SFENet2", "gff": "GFF", "upscale": "UPNet",
             "rdbs": "RDBs", "layers": "convs", "conv": "conv.0", "lff": "LFF",
             "output": "UPNet.4" if scale == 4 else "UPNet.2"}  # fmt: skip
    other = {".".join(names.get(p, p) for p in k.split(".")): v for k, v in state.items()}
    compare_images(tmp_path / "x.pth", lambda lr: plain.rdn(other, lr, (3, 2), scale))
