"""IGConv and IGConv+: kernels, both paths, official files, published values."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import official_shapes as shapes
import pandas as pd
import plain_igconv as plain
import plain_official
import pytest
import torch
from parity import generate
from test_cli import assert_refused
from tiny import ENCODERS, UPSAMPLER, image, moving, network

from baselines import build
from baselines.shapes import shapes_only
from baselines.upsamplers import igconv
from baselines.upsamplers.igconv import KernelNetwork, geometric_average
from harness import checkpoints
from harness.checkpoints import load_model, open_checkpoint
from harness.common.errors import UsageError
from harness.data.published import label, published

PUBLISHED_FILES = Path(str(files("harness.data.published")))


def test_the_papers_sizes():
    with shapes_only():
        model = build("edsr-large-igconv-plus")
        assert build("rcan-igconv-plus").scales == (2, 3, 4, 8)
    assert model.scales == (2, 3, 4)
    assert (len(model.encoder.body) - 1, model.encoder.out_channels) == (32, 256)
    assert {block.scale for block in model.encoder.body[:-1]} == {0.1}
    hidden = [c.weight.shape for c in model.upsampler.convolution.layers if hasattr(c, "weight")]
    assert hidden == [*[(256, 256, 1, 1)] * 4, (3, 256, 1, 1)]
    sampling = [c.weight.shape for c in model.upsampler.sampling.layers if hasattr(c, "weight")]
    assert sampling == [*[(256, 128, 1, 1)] * 2, (12, 128, 1, 1)]
    assert model.upsampler.average
    assert not build("edsr-igconv", encoder=ENCODERS["edsr"]).upsampler.average


def test_labels_are_the_papers():
    """What its tables call EDSR has 256 features; ours of that name is the LIIF family's."""
    assert label("edsr-large-igconv-plus") == "EDSR-IGConv+"
    assert label("srformer-igconv") == "SRFormer-IGConv"
    assert label("edsr-igconv") == "EDSR-baseline-IGConv"


@pytest.mark.parametrize("name", ["igconv", "igconv-plus"])
def test_parameters_at_x2_as_published(name):
    """Figure 1a: of the upsampler alone after instantiation, 64 features, in thousands."""
    with shapes_only():
        kernels = build(f"edsr-{name}").upsampler.kernels(2)
    count = sum(kernel.numel() for kernel in kernels)
    rows = pd.read_csv(PUBLISHED_FILES / "igconv_costs_claims.csv")
    column = {"igconv": "IGConv", "igconv-plus": "IGConv+"}[name]
    (printed,) = rows[(rows["method"] == column) & (rows["metric"] == "params")]["value"]
    assert round(count, -3) == printed


PUBLISHED = {
    "table2_div2k": ("2", "edsr-large-igconv-plus", 4),
    "table3_df2k": ("3", "srformer-igconv-plus", 4),
}


@pytest.mark.parametrize("name", ["table2_div2k", "table3_df2k", "costs_claims"])
def test_published_values_are_found(name):
    """Under our methods where we have the encoder; a row about several scales is no obstacle."""
    file = f"igconv_{name}.csv"
    if name not in PUBLISHED:
        assert published(file, "Fig1a", "edsr-igconv", "Urban100", 2) is None
        return
    table, method, scale = PUBLISHED[name]
    rows = pd.read_csv(PUBLISHED_FILES / file)
    found = published(file, table, method, "Urban100", scale)
    assert found in set(rows[rows["method"] == "IGConv+"]["value"])
    assert published(file, table, "edsr-igconv", "Urban100", scale) is None, "another EDSR"


# Kernels


def test_the_geometric_average_is_that_of_eight_kernels():
    kernels = torch.randn(5, 4, 3, 3)
    turned = [torch.rot90(kernels, n, (2, 3)) for n in range(4)]
    eight = torch.stack([*turned, *(k.flip(3) for k in turned)])
    found = geometric_average(kernels)
    assert torch.allclose(found, eight.mean(dim=0), atol=1e-6)
    assert len({round(v, 5) for v in found[0, 0].flatten().tolist()}) == 3


def test_averaging_kernels_is_averaging_answers():
    """The network's answer is the mean of those with each of the eight kernels."""
    model = moving("edsr-igconv", upsampler={**UPSAMPLER, "average": True})
    lr = image(1, 3, 5, 6)
    with torch.no_grad():
        found = model(lr, 2)
        kernels = model.upsampler.convolution(2)
        features = model.encoder(model.colours.enter(lr))
        answers = []
        for n, flipped in itertools.product(range(4), (False, True)):
            kernel = torch.rot90(kernels, n, (2, 3))
            kernel = kernel.flip(3) if flipped else kernel
            answers.append(igconv.convolved(features, kernel, 2))
    expected = model.colours.leave(torch.stack(answers).mean(dim=0))
    assert torch.allclose(found, expected, atol=1e-5)


def test_groups_share_nothing():
    """The second group's channels decide the second half of the outputs, and nothing else."""
    torch.manual_seed(0)
    maker = KernelNetwork(2, outputs=4, width=6, layers=1, groups=2)
    with torch.no_grad():
        before = maker(2).reshape(2, -1)
        maker.amplitude[:, 6:] += 1
        after = maker(2).reshape(2, -1)
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def test_mixed_precision_leaves_the_kernels_alone():
    model = network("edsr-igconv-plus")
    with torch.no_grad():
        expected = model.upsampler.kernels(3)
        with torch.autocast("cpu", torch.bfloat16):
            found = model.upsampler.kernels(3)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert found[0].dtype == torch.float32


# Official files of other sizes, held against a plain float64 statement

RULES = [
    (r"\.freq$", 3.0),
    (r"\.phase\.", 0.5),
    (r"query_kernel", 1.4),
    (r"^(conv_first|SFENet1|head)", 1.0),
    (r"mlp|^layers\.\d+\.conv", 0.6),
]
EDSR = shapes.basicsr_edsr(2, 6)
SRFORMER = {"channels": 8, "depths": [2, 1], "heads": 2, "window": 6, "ratio": 2}
TRANSFORMER = shapes.srformer(**SRFORMER)
GENERATED = {
    "edsr": ("EDSRIG", "upsample", EDSR, 6, {"res_scale": 0.3, "geo_ensemble": True}),
    "edsr-plus": ("EDSRIGPlus", "upsample", EDSR, 6, {"res_scale": 1}),
    "edsr-plain-plus": ("EDSRIGPlus", "upsample", EDSR, 6, {"geo_ensemble": False}),
    "rdn": ("RDNIG", "UPNet", shapes.rdn(5, (2, 2, 3)), 5, {}),
    "rdn-plus": ("RDNIGPlus", "UPNet", shapes.rdn(5, (2, 2, 3)), 5, {"geo_ensemble": True}),
    "rcan-plus": ("RCANIGPlus", "tail", shapes.rcan(2, 2, 8, 4), 8, {"max_s": 8}),
    "srformer": ("SRFormer", "upsample", TRANSFORMER, 8, {"upsampler": "igconv"}),
    "srformer-plus": ("SRFormer", "upsample", TRANSFORMER, 8, {"upsampler": "igconv+igsample"}),
}


def made(name: str) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """A state dict and the specification of its network."""
    official, place, encoder, channels, args = GENERATED[name]
    names = encoder | shapes.igconv(place, channels, 8, 3)
    if name.endswith("plus"):
        names |= shapes.igsample(channels, 8, 3)
    state = generate(names, RULES)
    if name.startswith("edsr"):
        args = {"img_range": 1.0, **args}
    if name.startswith("rcan"):
        state = {**shift(1), **state}
    return state, {"name": official, "args": args}


def shift(rgb_range: float) -> dict[str, torch.Tensor]:
    """RCAN's two shift layers."""
    bias, eye = plain.MEAN.flatten().float() * rgb_range, torch.eye(3)[:, :, None, None]
    found = {"sub_mean.weight": eye, "sub_mean.bias": -bias}
    return {**found, "add_mean.weight": eye, "add_mean.bias": bias}


def features_of(name: str, state: dict[str, torch.Tensor], lr: torch.Tensor) -> torch.Tensor:
    if name.startswith("edsr"):
        return plain.edsr(state, lr, GENERATED[name][-1].get("res_scale", 1))
    if name.startswith("rdn"):
        return plain_official.rdn(state, lr, (2, 2), None)
    if name.startswith("rcan"):
        return plain.rcan(state, lr)
    return plain.srformer(state, lr, SRFORMER["window"])


def answer(name: str, state: dict[str, torch.Tensor], lr: torch.Tensor, scale: int) -> torch.Tensor:
    """(3, h*scale, w*scale) of an image (3, h, w), as the official network computes it."""
    average = GENERATED[name][-1].get("geo_ensemble", not name.startswith("rdn") and name != "edsr")
    h, w = lr.shape[-2:]
    window = SRFORMER["window"] if name.startswith("srformer") else 1
    add = [(0, 0), (0, -h % window), (0, -w % window)]
    padded = torch.from_numpy(np.pad(lr.numpy(), add, mode="reflect")).double()
    mean = torch.zeros(3, 1, 1) if name.startswith("rdn") else plain.MEAN
    features = features_of(name, state, (padded - mean)[None])
    place = GENERATED[name][1]
    out = plain.igconv(plain_official.part(state, place), features, scale, average) + mean
    if name.endswith("plus"):
        sampling = plain_official.part(state, "skip.convs")
        out = out + plain.igsample(sampling, padded, features, scale, average)
    return out[:, : h * scale, : w * scale]


@pytest.mark.parametrize("name", GENERATED)
def test_official_files(name, tmp_path):
    state, spec = made(name)
    torch.save({"params": state}, tmp_path / "x.pth")
    model = load_model(tmp_path / "x.pth", network=spec)
    expected_scales = (2, 3, 4, 8) if name == "rcan-plus" else (2, 3, 4)
    assert model.scales == expected_scales
    sizes = [(1, 1), (5, 4), (4, 7)] if not name.startswith("srformer") else [(5, 7), (6, 6)]
    for size, scale in zip(sizes, (3, 2, model.scales[-1]), strict=False):
        lr = image(2, 3, *size, seed=scale)
        with torch.no_grad():
            out = model(lr, scale)
        right = torch.stack([answer(name, state, one, scale) for one in lr])
        assert (out - right).abs().max() <= 1e-4, (size, scale)
        assert out.std() > 1e-2


def written(name: str, path: str = "x.pth", key: str = "params") -> Path:
    torch.save({key: made(name)[0]}, path)
    return Path(path)


@pytest.mark.parametrize("text", ["a: 2020-99-99", "a: !!int x", "[" * 2000])
def test_options_that_are_no_yaml_are_refused(text, harness):
    Path("options.yaml").write_text(text)
    command = ("import-checkpoint", written("edsr-plus", key="params_ema"), "-o", "ours.pt")
    status, _, err = harness(*command, "--options", "options.yaml")
    assert (status, "options.yaml is no YAML" in err) == (2, True)


def test_what_a_file_does_not_say_is_taken_as_released_and_said(harness):
    path = written("edsr-plus", key="params_ema")
    assumed = open_checkpoint(path)
    assert "average its kernels and to scale residuals by 1" in assumed.meta["origin"]
    assert assumed.model.upsampler.average
    assert not load_model(written("edsr", "y.pth")).upsampler.average
    Path("options.yaml").write_text(
        "network_g:\n  type: EDSRIGPlus\n  num_feat: 6\n  img_range: 1.\n  geo_ensemble: false\n"
        "train:\n  optim_g:\n    lr: !!float 1e-4\n"
    )
    command = ("import-checkpoint", path, "-o", "ours.pt", "--options", "options.yaml")
    out = harness.good(*command)
    assert "enlarges by: x2, x3 and x4 only, images in [0, 1]" in out
    told = open_checkpoint("ours.pt")
    assert not told.model.upsampler.average
    assert told.weights != assumed.weights, "the same weights, but not the same measurements"
    harness.good("export-checkpoint", "ours.pt", "back.pth")
    back, given = torch.load("back.pth"), torch.load(path)
    assert list(back) == list(given) == ["params_ema"]
    assert list(back["params_ema"]) == list(given["params_ema"])


def test_the_running_average_is_what_the_project_measures():
    state, _ = made("edsr")
    torch.save({"params": {k: v * 2 for k, v in state.items()}, "params_ema": state}, "x.pth")
    read = open_checkpoint("x.pth")
    assert torch.equal(read.model.encoder.head[0].weight, state["conv_first.weight"])
    assert any(entry.keys == ("params",) for entry in read.official.unneeded)


@pytest.mark.parametrize("method", ["edsr-large-igconv-plus", "rcan-igconv-plus"])
def test_the_released_sizes_have_their_method(method, harness):
    model = build(method)
    content = {"method": method, "build": {}, "state_dict": model.state_dict()}
    checkpoints.save(Path("ours.pt"), content)
    harness.good("export-checkpoint", "ours.pt", "official.pth")
    back = open_checkpoint("official.pth", method)
    assert back.weights == checkpoints.weights_hash(model.state_dict())


def other_encoder() -> dict[str, torch.Tensor]:
    """As of HAT or MambaIR."""
    return generate(shapes.igconv("upsample", 4, 8, 1) | shapes.layer("feats.0", 4, 3), [])


MASK = "layers.0.residual_group.blocks.1.attn_mask"
INDEX = "layers.0.residual_group.blocks.0.attn.aligned_relative_position_index"
REFUSED: dict[str, tuple[Callable[[], dict[str, torch.Tensor]], str]] = {
    "encoder": (other_encoder, "over an encoder that the harness does not have"),
    "missing": (lambda: without(made("edsr-plus")[0], "conv_first.bias"),
                "missing conv_first.bias"),
    "sampling": (lambda: made("edsr-plus")[0]
                 | {"skip.convs.query_kernel.0.bias": torch.ones(3)},
                 "skip.convs.query_kernel.0.bias has shape (3,)"),
    "shift": (lambda: made("rcan-plus")[0] | shift(255), "not that of images in [0, 1]"),
    "mask": (lambda: made("srformer")[0] | {MASK: torch.zeros(4, 36, 9)},
             "no SRFormer with windows of 6"),
    "index": (lambda: made("srformer")[0] | {INDEX: torch.zeros(36, 9, dtype=torch.int64)},
              "no SRFormer with windows of 6"),
    "plain-rcan": (lambda: without(made("rcan-plus")[0], "skip.convs.freq"),
                   "no network like rcan-igconv"),
    "rcan": (lambda: generate(shapes.rcan(1, 1, 4, 2), []), "The checkpoint is an RCAN"),
}  # fmt: skip


def without(state: dict[str, torch.Tensor], key: str) -> dict[str, torch.Tensor]:
    return {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_with_the_reason(name, harness, tmp_path):
    content, reason = REFUSED[name]
    torch.save({"params": content()}, "x.pth")
    assert_refused(harness, tmp_path, ("import-checkpoint", "x.pth", "-o", "out.pt"), 1, reason)


OPTIONS = {
    "name": ("type: RDNIG", "the options are those of RDNIG", 2),
    "igsample": ("type: EDSRIGPlus", "the options are those of EDSRIGPlus", 2),
    "size": ("type: EDSRIG\n  num_feat: 64", "say num_feat 64, the file holds 6", 2),
    "layers": ("type: EDSRIG\n  latent_layers: 4", "say latent_layers 4, the file holds 3", 2),
    "range": ("type: EDSRIG", "Only IGConv networks on images in [0, 1]", 1),
    "none": ("types: EDSRIG", "has no network", 2),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_contradict_the_file_are_refused(name, harness, tmp_path):
    lines, reason, status = OPTIONS[name]
    (tmp_path / "options.yaml").write_text(f"network_g:\n  {lines}\n")
    command = ("import-checkpoint", written("edsr"), "--options", "options.yaml", "-o", "out.pt")
    assert_refused(harness, tmp_path, command, status, reason)


def test_other_files_need_no_options(tmp_path):
    torch.save(generate(shapes.rdn(4, (2, 2, 3), 2), []), "x.pth")
    with pytest.raises(UsageError, match="Only networks of the IGConv project"):
        open_checkpoint("x.pth", network={"name": "RDNIG", "args": {}})
