"""Networks as ONNX files: ours, exported, and small ones of others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from test_cli import save_checkpoint
from tiny import network, write_photos
from torch import Tensor, nn

from harness.common.errors import HarnessError, MethodError
from harness.outside.entries import Entry
from harness.outside.onnx_export import export_onnx
from harness.outside.onnx_model import OnnxModel
from harness.upscale.network import upscale

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

FORMS = [("edsr-liif", False), ("edsr-moeisr-liif-s", False), ("edsr-moeisr-liif-s", True)]
FORMS += [("edsr-moeisr-lte-b", False), ("edsr-x3", False)]


@pytest.mark.parametrize(("method", "dense"), FORMS)
def test_exported_networks_equal_the_engine(method, dense, tmp_path):
    """At 50 random sizes and factors, within 1e-4; MACs of the graph are those of the papers."""
    model = network(method)
    made = export_onnx(model, tmp_path / "net.onnx", method, dense)
    assert made["largest_difference"] <= 1e-4
    exported = OnnxModel(tmp_path / "net.onnx")
    rng = np.random.default_rng(0)
    for number in range(50):
        h, w = (int(n) for n in rng.integers(3, 20, 2))
        scale = 3.0 if method == "edsr-x3" else float(rng.choice([rng.uniform(1, 9), 2, 3, 4, 8]))
        size = (round(h * scale), round(w * scale))
        lr = torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(number))
        ours = upscale(model, lr, scale, size)
        theirs = upscale(exported, lr, scale, size)
        assert (ours.image - theirs.image).abs().max() < 1e-4, (h, w, scale)
        if number == 0 and not dense and "lte" not in method:
            count = model.count((h, w), size, ours.choice)
            assert exported.count((h, w), size, theirs.choice).encoder == count.total
    weights = sum(p.numel() for p in model.parameters())
    assert weights <= (exported.parameter_count or 0) <= weights + 200


def test_dense_experts_all_answer(tmp_path):
    model = network("edsr-moeisr-liif-s")
    lr = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    counts = []
    for dense in (False, True):
        export_onnx(model, tmp_path / f"{dense}.onnx", "m", dense)
        exported = OnnxModel(tmp_path / f"{dense}.onnx")
        counts.append(upscale(exported, lr, 3.0, (18, 21)).choice)
    queries = 18 * 21 * 4
    fixed = model.count((6, 7), (18, 21), torch.zeros(6, 7, dtype=torch.long))
    assert counts[1] == fixed.encoder + fixed.mapper + queries * sum(model.expert_macs)
    assert counts[0] < counts[1]


def test_rows_equal_the_native_ones(harness, tmp_path):
    """By the commands: exported, measured as ONNX, beside the network itself."""
    root = tmp_path / "data"
    write_photos(root / "benchmark/Set5/HR", {"a": (41, 52), "b": (38, 30)})
    save_checkpoint(tmp_path / "liif.pt")
    text = harness.good("export-checkpoint", "liif.pt", "liif.onnx", "--format", "onnx")
    assert "inputs lr and size" in text
    more = ("--dataset", "Set5", "--data-root", root, "--scale", 2, "--scale", 3.3, "--json")
    native = json.loads(harness.good("eval", "--checkpoint", "liif.pt", *more))
    exported = json.loads(harness.good("eval", "--onnx", "liif.onnx", *more))
    assert exported["method"] == "liif@onnx"
    for ours, theirs in zip(native["images"], exported["images"], strict=True):
        assert theirs["psnr"] == pytest.approx(ours["psnr"], abs=1e-3)
        assert theirs["ssim"] == pytest.approx(ours["ssim"], abs=1e-4)
        assert theirs["encoder_macs"] == ours["encoder_macs"] + ours["decoder_macs"]
        same = ("image", "image_sha256", "hr_size", "lr_size", "lr_source", "protocol")
        assert [theirs[name] for name in same] == [ours[name] for name in same]
    again = json.loads(harness.good("eval", "--onnx", "liif.onnx", *more))
    assert again["images"] == exported["images"], "measured again"
    ensemble = json.loads(harness.good("eval", "--onnx", "liif.onnx", *more, "--self-ensemble", 4))
    assert ensemble["cells"][0]["rendering"] == "ensemble 4"


class Nearest(nn.Module):
    """Enlarges by repeating pixels, on values of a range, with channels in an order."""

    def __init__(self, scale: int = 2, values: str = "unit", swap: bool = False) -> None:
        super().__init__()
        self.scale, self.swap = scale, swap
        self.shift = {"unit": 0.0, "signed": -1.0, "bytes": 0.0}[values]

    def forward(self, x: Tensor) -> Tensor:
        made = x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)
        # What is done to the first channel shows the order, and to black the range.
        first = (made[:, :1] - self.shift) * 0.5 + self.shift
        return torch.cat([first, made[:, 1:]], 1)


def saved(path: Path, module: nn.Module, size: tuple[int, int] = (8, 8), free: bool = True) -> Path:
    axes = {"x": {2: "h", 3: "w"}, "y": {2: "H", 3: "W"}} if free else None
    torch.onnx.export(
        module.eval(),
        (torch.zeros(1, 3, *size),),
        str(path),
        input_names=["x"],
        output_names=["y"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    return path


@pytest.mark.parametrize("values", ["unit", "signed", "bytes"])
@pytest.mark.parametrize("colours", ["rgb", "bgr"])
@pytest.mark.parametrize("by", ["option", "metadata"])
def test_values_and_colours(values, colours, by, tmp_path):
    path = saved(tmp_path / "n.onnx", Nearest(values=values))
    given = {"values": values, "colours": colours} if by == "option" else {}
    if by == "metadata":
        content = onnx.load(str(path))
        content.metadata_props.add(key="value_range", value=values)
        content.metadata_props.add(key="colour_order", value=colours)
        onnx.save(content, str(path))
    lr = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    model = OnnxModel(path, **given)
    expected = lr.clone()
    expected[:, 0 if colours == "rgb" else 2] *= 0.5
    expected = expected.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert model.scales == (2,)
    assert torch.allclose(upscale(model, lr, 2).image, expected, atol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (5, 30), (33, 21), (3, 4)])
def test_a_fixed_input_size_is_tiled(size, tmp_path):
    model = OnnxModel(saved(tmp_path / "n.onnx", Nearest(3), (8, 12), free=False))
    lr = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    expected = Nearest(3)(lr)
    assert torch.allclose(upscale(model, lr, 3).image, expected, atol=1e-6)


class Squeezing(nn.Module):
    """Needs sides that are even."""

    def forward(self, x: Tensor) -> Tensor:
        return Nearest(2)(nn.functional.pixel_shuffle(nn.functional.pixel_unshuffle(x, 2), 2))


def test_a_multiple_is_mirrored_and_cut_back(tmp_path):
    path = saved(tmp_path / "n.onnx", Squeezing())
    lr = torch.rand(1, 3, 7, 9, generator=torch.Generator().manual_seed(0))
    made = upscale(OnnxModel(path, multiple=2), lr, 2).image
    assert torch.allclose(made, Nearest(2)(lr), atol=1e-6)
    with pytest.raises(MethodError, match="onnxruntime"):
        upscale(OnnxModel(path), lr, 2)


def test_what_cannot_be_used_is_said(tmp_path, harness):
    root = tmp_path / "data"
    write_photos(root / "benchmark/Set5/HR", {"a": (41, 52)})
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    good = saved(tmp_path / "good.onnx", Nearest(2))
    cut_off = tmp_path / "cut.onnx"
    cut_off.write_bytes(good.read_bytes()[:200])
    newer = onnx.load(str(good))
    newer.opset_import[0].version = 999
    onnx.save(newer, str(tmp_path / "newer.onnx"))
    one = nn.Conv2d(1, 1, 3)
    torch.onnx.export(one, (torch.zeros(1, 1, 8, 8),), str(tmp_path / "y.onnx"), dynamo=False)
    saved(tmp_path / "same.onnx", nn.Conv2d(3, 3, 3, padding=1))
    external = onnx.load(str(saved(tmp_path / "conv.onnx", nn.Conv2d(3, 3, 3, padding=1))))
    onnx.save(
        external,
        str(tmp_path / "external.onnx"),
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    (tmp_path / "weights.bin").unlink()
    said = {
        "missing.onnx": "no file",
        "text.onnx": "cannot be read",
        "cut.onnx": "cannot be read",
        "newer.onnx": "opset",
        "y.onnx": "1 channels",
        "same.onnx": "not an enlargement",
        "external.onnx": "external weights",
    }
    for name, words in said.items():
        command = ("eval", "--onnx", name, "--dataset", "Set5", "--data-root", root)
        status, out, err = harness(*command, "--scale", 2)
        assert (status, out) == (1, ""), name
        assert words in err, (name, err)
        assert "Traceback" not in err
    command = ("eval", "--onnx", good, "--dataset", "Set5", "--data-root", root)
    assert "good@onnx" in harness.good(*command)
    status, _, err = harness(*command, "--scale", 3)
    assert (status, "2 only, not 3" in err) == (2, True)
    status, _, err = harness(*command, "--precision", "bf16")
    assert (status, "fp32" in err) == (2, True)


@pytest.mark.parametrize("method", ["swinir-liif", "edsr-metasr", "edsr-igconv", "seemore-t-x2"])
def test_what_cannot_be_exported_is_said(method, tmp_path):
    with pytest.raises(HarnessError, match="cannot be exported as ONNX: "):
        export_onnx(network(method), tmp_path / "net.onnx", method, dense=False)
    assert not list(tmp_path.iterdir())


def test_weights_are_its_identity(tmp_path):
    (first,), _ = Entry(onnx=saved(tmp_path / "n.onnx", Nearest(2))).open({}, [])
    (other,), _ = Entry(onnx=saved(tmp_path / "m.onnx", Nearest(3)), name="mine").open({}, [])
    (bytes_,), _ = Entry(onnx=tmp_path / "n.onnx", values="bytes").open({}, [])
    assert (first.name, other.name) == ("n@onnx", "mine@onnx")
    assert len({each.make(each).identity for each in (first, other, bytes_)}) == 3


def test_weights_in_another_file_are_its_identity_too(tmp_path):
    content = onnx.load(str(saved(tmp_path / "conv.onnx", Blowing(1.0))))
    path, weights = tmp_path / "apart.onnx", tmp_path / "weights.bin"
    how = {"save_as_external_data": True, "location": weights.name, "size_threshold": 0}
    onnx.save(content, str(path), **how)
    before = OnnxModel(path).identity
    assert OnnxModel(path).identity == before
    changed = bytearray(weights.read_bytes())
    changed[2] ^= 1
    weights.write_bytes(changed)
    assert OnnxModel(path).identity != before


class Blowing(nn.Module):
    """Enlarges by repeating pixels, and gives values of another range than it takes."""

    def __init__(self, gain: float, bias: float = 0) -> None:
        super().__init__()
        self.bias = bias
        self.gain = nn.Parameter(torch.full((1, 3, 1, 1), gain))

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3) * self.gain + self.bias


def test_values_of_another_range_are_named(tmp_path):
    lr = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    model = OnnxModel(saved(tmp_path / "n.onnx", Blowing(255.0)))
    with pytest.raises(MethodError, match="range bytes, not unit; name it with --values"):
        upscale(model, lr, 2)
    for black in (Blowing(0.1), Blowing(0.01, 0.4), Blowing(-1.0)):
        upscale(OnnxModel(saved(tmp_path / "b.onnx", black)), lr, 2)  # bad, but no other range
    upscale(model, torch.zeros_like(lr), 2)
    model = OnnxModel(saved(tmp_path / "u.onnx", Blowing(2.0, -1.0)))
    with pytest.raises(MethodError, match="range signed, not unit"):
        upscale(model, lr, 2)
