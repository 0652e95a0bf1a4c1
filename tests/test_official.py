"""Official files into our format and back; files that do not fit are refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import official_shapes as shapes
import pytest
import torch
from parity import CASES, checkpoint, state_of
from test_cli import assert_refused
from tiny import DECODER, ENCODERS, UPSAMPLER, Harness, network, write_data

from baselines import build, parse
from baselines.names import officially_named
from harness import checkpoints
from harness.checkpoints import load_model, open_checkpoint
from harness.checkpoints.official import constructed
from harness.checkpoints.official.specifications import build_of
from harness.common.errors import HarnessError

VALID = ("--dataset", "DIV2K_valid", "--data-root", "data", "--scale", 2)


def weights(names: shapes.Shapes, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {k: torch.randn(shape, generator=generator) / 10 for k, shape in names.items()}


def shift(rgb_range: float) -> dict[str, torch.Tensor]:
    mean = torch.tensor([0.4488, 0.4371, 0.4040]) * rgb_range
    eye = torch.eye(3)[:, :, None, None]
    return {"sub_mean.weight": eye, "sub_mean.bias": -mean, "add_mean.weight": eye,
            "add_mean.bias": mean}  # fmt: skip


EDSR_ARGS = {"n_resblocks": 1, "n_feats": 8, "no_upsampling": True}
EDSR_SPEC = {"name": "edsr-baseline", "args": EDSR_ARGS}


def liif_file(**args: object) -> dict[str, object]:
    """A small LIIF in the layout of its project."""
    names = shapes.below("encoder", shapes.edsr(1, 8)) | shapes.mlp("imnet", [76, 16, 16, 3])
    imnet = {"name": "mlp", "args": {"out_dim": 3, "hidden_list": [16, 16]}}
    given = {"encoder_spec": EDSR_SPEC, "imnet_spec": imnet, **args}
    return {"model": {"name": "liif", "args": given, "sd": weights(names)}, "epoch": 7}


def lmf_file(name: str, render: object = None, hidden: object = (8,), **args: object) -> object:
    """The specification of a network of LMF's project, which is refused before any weight."""
    sizes = {"out_dim": 3, "hidden_dim": 4, "hidden_depth": 2, **(render or {})}
    given = {
        "encoder_spec": EDSR_SPEC,
        "imnet_spec": {"name": "lmmlp", "args": sizes},
        "hypernet_spec": {"name": "mlp", "args": {"out_dim": 8, "hidden_list": hidden}},
        **args,
    }
    return {"model": {"name": name, "args": given, "sd": {}}}


def swinir_state(scale: int | None = 2) -> dict[str, torch.Tensor]:
    return weights(shapes.swinir(6, [2], 3, 4, 2, scale))


def saved(content: object, path: str = "file.pth") -> Path:
    torch.save(content, path)
    return Path(path)


# There and back


@pytest.mark.parametrize("case", CASES)
def test_every_case_survives_import_and_export(case, harness):
    """Official, ours, official again: the same weights, answers and file content."""
    path = checkpoint(case)
    first = open_checkpoint(path)
    told = json.loads(harness.good("import-checkpoint", path, "-o", "ours.pt", "--json"))
    ours = open_checkpoint("ours.pt")
    assert ours.official is None
    assert ours.weights == first.weights == told["weights"]
    assert (ours.method, ours.meta["origin"]) == (first.method, first.meta["origin"])
    assert path.name in ours.meta["origin"]
    assert "training is not known" in ours.meta["origin"]
    states = (m.state_dict() for m in (first.model, ours.model))
    assert len({tuple((k, v.dtype) for k, v in state.items()) for state in states}) == 1

    harness.good("export-checkpoint", "ours.pt", "back.pth")
    made, given = torch.load("back.pth"), torch.load(path)
    assert_same_file(made, given)
    harness.good("export-checkpoint", path, "straight.pth")
    assert_same_file(torch.load("straight.pth"), given)
    assert open_checkpoint("back.pth").weights == first.weights


def assert_same_file(made, given):
    assert list(made) == list(given)
    assert made.get("epoch") == given.get("epoch")
    if "model" in given:
        assert {k: v for k, v in made["model"].items() if k != "sd"} == {
            k: v for k, v in given["model"].items() if k != "sd"
        }
    state, expected = state_of(made), state_of(given)
    assert list(state) == list(expected)
    for key, value in expected.items():
        assert state[key].dtype == value.dtype
        assert torch.equal(state[key], value), key


@pytest.mark.parametrize("case", ["liif-no-cell", "liif-no-imnet-x2", "lte-edsr-baseline"])
def test_an_imported_network_answers_bit_for_bit(case, harness):
    harness.good("import-checkpoint", checkpoint(case), "-o", "ours.pt")
    lr = torch.rand(1, 3, 9, 7) * 2 - 1
    coord = torch.rand(1, 50, 2) * 2 - 1
    first, second = (load_model(p) for p in (checkpoint(case), "ours.pt"))
    with torch.no_grad():
        a, b = (m(lr, coord, torch.full_like(coord, 0.1)) for m in (first, second))
    assert type(first) is type(second)
    assert torch.equal(a, b)


OF_EACH_KIND = [
    *("liif-no-cell", "liif-no-ensemble", "liif-no-imnet-x2", "liif-no-unfold"),
    *("lte-edsr-baseline", "metasr-edsr-baseline", "edsr-baseline-x2", "rdn-x4"),
]


@pytest.mark.parametrize("case", OF_EACH_KIND)
def test_the_specification_is_found_again_without_a_memory_of_the_file(case, harness):
    ours = open_checkpoint(checkpoint(case))
    content = {k: v for k, v in ours.meta.items() if k != "imported"}
    checkpoints.save(Path("ours.pt"), {**content, "state_dict": ours.model.state_dict()})
    harness.good("export-checkpoint", "ours.pt", "back.pth")
    made, given = torch.load("back.pth"), torch.load(checkpoint(case))
    assert list(state_of(made)) == list(state_of(given))
    again = open_checkpoint("back.pth")
    assert (again.weights, again.method) == (ours.weights, ours.method)
    assert again.meta["build"] == ours.meta["build"]


def test_an_official_file_is_measured(harness):
    write_data(Path("data"))
    path = checkpoint("liif-no-ensemble")
    harness.good("import-checkpoint", path, "-o", "ours.pt")
    command = (*VALID, "--json")
    first = json.loads(harness.good("eval", "--checkpoint", path, *command))
    assert first["method"] == "liif-no-ensemble"
    assert "its training is not known" in first["origin"]
    assert first["cells"][0]["images"] == 2
    second = json.loads(harness.good("eval", "--checkpoint", "ours.pt", *command))
    assert second == first, "the same unit, found again"


OURS = {
    "edsr-liif": {},
    "edsr-lte": {},
    "edsr-x3": {},
    "edsr-liif-3layer": {},
}


@pytest.mark.parametrize("method", OURS)
def test_networks_trained_here_are_exported(method, harness):
    made = {"encoder": ENCODERS["edsr"]}
    if "x" not in method:
        made["decoder"] = DECODER
    torch.manual_seed(3)
    model = build(method, **made)
    checkpoints.save(
        Path("ours.pt"), {"method": method, "build": made, "state_dict": model.state_dict()}
    )
    harness.good("export-checkpoint", "ours.pt", "official.pth")
    back = open_checkpoint("official.pth")
    assert back.weights == checkpoints.weights_hash(model.state_dict())
    assert "sub_mean.bias" in {k.removeprefix("encoder.") for k in back_keys("official.pth")}


def back_keys(path: str) -> list[str]:
    return list(state_of(torch.load(path)))


@pytest.mark.parametrize("method", ["edsr-liif", "rdn-lte", "swinir-liif", "edsr-metasr", "rdn-x4"])
def test_the_papers_sizes_have_official_layouts(method, harness):
    """Untrained networks of full size: every one of our keys has an official name and back."""
    model = build(method)
    content = {"method": method, "build": {}, "state_dict": model.state_dict()}
    checkpoints.save(Path("ours.pt"), content)
    harness.good("export-checkpoint", "ours.pt", "official.pth")
    back = open_checkpoint("official.pth", method)
    assert back.weights == checkpoints.weights_hash(model.state_dict())


ANY_KIND = (
    *("edsr-liif", "rdn-lte", "swinir-lmlte", "rcan-lmliif", "edsr-moeisr-lte-s", "seemore-t-x2"),
    *("swinir-x4", "rdn-x3", "srformer-igconv-plus", "rcan-igconv-plus", "edsr-igconv"),
)


@pytest.mark.parametrize("method", ANY_KIND)
def test_state_dicts_have_official_names_and_load_again(method):
    model = network(method)
    state = model.state_dict()
    parameters = dict(model.named_parameters())
    assert len(state) == len(parameters) and state.keys() != parameters.keys()
    assert officially_named(model, parameters).keys() == state.keys()
    other = network(method, seed=1)
    other.load_state_dict(state)
    assert all(torch.equal(parameters[k], v) for k, v in other.named_parameters())


def test_a_state_dict_loads_where_an_official_network_would_take_it():
    """LIIF's own names, from its published configuration; nothing is renamed by an export."""
    state = network("edsr-liif").state_dict()
    encoder = shapes.edsr(ENCODERS["edsr"]["blocks"], ENCODERS["edsr"]["features"])
    names = [f"imnet.layers.{2 * i}.{kind}" for i in range(5) for kind in ("weight", "bias")]
    assert list(state) == [*(f"encoder.{name}" for name in encoder), *names]


@pytest.mark.parametrize("method", ["rdn-moeisr-lte-b", "seemore-t-x2", "srformer-igconv-plus"])
def test_checkpoints_with_the_names_of_our_modules_are_still_read(method):
    model, later = network(method), network(method, seed=1)
    sizes = {"encoder": ENCODERS[parse(method).encoder]}
    for part, options in (("decoder", DECODER), ("upsampler", UPSAMPLER)):
        sizes |= {part: options} if getattr(parse(method), part) else {}
    states = {
        key: {name: value.detach() for name, value in made.named_parameters()}
        for key, made in (("state_dict", model), ("unaveraged", later))
    }
    content = {"format": "moeisr-harness/1", "method": method, "build": sizes, **states}
    torch.save(content, "old.pt")
    found = {
        "state_dict": (load_model("old.pt", method).state_dict(), model),
        "unaveraged": (checkpoints.read(Path("old.pt"))["unaveraged"], later),
    }
    for state, expected in found.values():
        assert all(torch.equal(state[k], v) for k, v in expected.state_dict().items())


def no_export(method: str, options: dict[str, object]) -> Path:
    model = build(method, **options)
    content = {"method": method, "build": options, "state_dict": model.state_dict()}
    checkpoints.save(Path("ours.pt"), content)
    return Path("ours.pt")


NOT_OFFICIAL = {
    "mixture": ("edsr-moeisr-liif-s", {"encoder": ENCODERS["edsr"], "decoder": DECODER},
                "no code of MoEISR was published"),
    "rdn": ("rdn-liif", {"encoder": ENCODERS["rdn"], "decoder": DECODER}, "A (20, 6, 32)"),
    "swinir": ("swinir-lte", {"encoder": ENCODERS["swinir"], "decoder": DECODER}, "fixed sizes"),
    "swinir-x2": ("swinir-x2", {"encoder": ENCODERS["swinir"]}, "64 features"),
    "lte": ("edsr-lte", {"encoder": ENCODERS["edsr"], "decoder": DECODER, "ensemble": False},
            "always has the local ensemble"),
    "metasr": ("edsr-metasr", {"encoder": ENCODERS["edsr"], "decoder": DECODER}, "layer of 256"),
    "residuals": ("edsr-x2", {"encoder": {**ENCODERS["edsr"], "values": "bytes", "shifted": True,
                                          "residual_scale": 0.1}}, "does not hold residual_scale"),
    "values": ("rdn-x2", {"encoder": {**ENCODERS["rdn"], "values": "bytes"}},
               "does not hold values"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_OFFICIAL)
def test_what_has_no_official_layout_is_not_exported(name, harness, tmp_path):
    method, options, reason = NOT_OFFICIAL[name]
    path = no_export(method, options)
    assert_refused(harness, tmp_path, ("export-checkpoint", path, "out.pth"), 1, reason)


def test_constructed_entries_are_those_of_the_cases():
    """Masks of the image that the official network was constructed for are kept as they were."""
    bare = swinir_state()
    for construction in (8, 16):
        options = open_checkpoint(saved(bare)).meta["build"]["encoder"]
        made = constructed.SWINIR.write(bare, options, {"construction": construction})
        read = open_checkpoint(saved({"params": made}))
        assert read.meta["imported"]["memory"] == {"construction": construction}
        assert {len(u.keys) for u in read.official.unneeded} == {1, 2}


# Bare state dicts


def unit_answer(path: Path) -> torch.Tensor:
    """What a fixed-scale network makes of an image in [0, 1], in [0, 1]."""
    model = load_model(path)
    lr = torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        if model.input_range == "unit":
            return model(lr)
        return model(lr * 2 - 1) / 2 + 0.5


@pytest.mark.parametrize("wrapper", ["", "params", "params_ema"])
def test_a_bare_edsr_of_the_liif_project(wrapper):
    state = {**shift(1), **weights(shapes.edsr(2, 6, 3))}
    args = {"n_resblocks": 2, "n_feats": 6, "scale": 3}
    whole = saved({"model": {"name": "edsr-baseline", "args": args, "sd": state}}, "whole.pth")
    bare = saved({wrapper: state} if wrapper else state)
    assert torch.equal(unit_answer(bare), unit_answer(whole))
    assert "no shift" in open_checkpoint(bare).meta["origin"], "what is assumed is said"


def test_a_bare_rdn_is_the_liif_projects_unless_told_otherwise(harness):
    state = weights(shapes.rdn(4, (20, 6, 32), 2))
    args = {"G0": 4, "RDNconfig": "A", "scale": 2}
    whole = saved({"model": {"name": "rdn", "args": args, "sd": state}}, "whole.pth")
    bare = saved(state)
    assert torch.equal(unit_answer(bare), unit_answer(whole))
    assert "the file does not say" in open_checkpoint(bare).meta["origin"]
    hashes = {open_checkpoint(bare).weights}
    for values, peak in (("unit", 1), ("bytes", 255)):
        harness.good("import-checkpoint", bare, "-o", f"{values}.pt", "--values", values)
        told = open_checkpoint(f"{values}.pt")
        assert values in told.meta["origin"]
        lr = torch.rand(1, 3, 4, 4)
        with torch.no_grad():
            inside = load_model(whole)(lr * peak) / peak
            assert torch.allclose(told.model(lr), inside, atol=1e-5)
        hashes.add(told.weights)
    assert len(hashes) == 3, "the same weights, but not the same measurements"


def test_values_that_were_told_decide_what_is_written(harness):
    """The shift of the file's own range is not written again: its network works on other values."""
    path = saved({**shift(1), **weights(shapes.edsr(2, 6, 3))})
    harness.good("import-checkpoint", path, "-o", "ours.pt", "--values", "bytes")
    told = json.loads(harness.good("export-checkpoint", "ours.pt", "back.pth", "--json"))
    assert told["project"] == "EDSR project"
    assert open_checkpoint("back.pth").weights == open_checkpoint("ours.pt").weights


def test_settings_that_weights_do_not_show_are_another_checkpoint():
    files = [saved(liif_file(), "a.pth"), saved(liif_file(local_ensemble=False), "b.pth")]
    assert len({open_checkpoint(path).weights for path in files}) == 2


def test_what_scales_residuals_goes_with_the_specification(harness):
    spec = {"name": "edsr-baseline", "args": {**EDSR_ARGS, "res_scale": 0.1}}
    files = [saved(liif_file(), "a.pth"), saved(liif_file(encoder_spec=spec), "b.pth")]
    plain, scaled = (open_checkpoint(path) for path in files)
    assert scaled.meta["build"]["encoder"]["residual_scale"] == 0.1
    assert scaled.weights != plain.weights, "the same weights, but not the same measurements"
    lr = torch.rand(1, 3, 5, 4)
    with torch.no_grad():
        for layer in (m.encoder.body[0].body[2] for m in (plain.model, scaled.model)):
            layer.bias.zero_()
        plain.model.encoder.body[0].body[2].weight.mul_(0.1)
        assert torch.allclose(plain.model.encoder(lr), scaled.model.encoder(lr), atol=1e-6)
    harness.good("export-checkpoint", "b.pth", "back.pth")
    assert open_checkpoint("back.pth").meta["build"] == scaled.meta["build"]


def test_values_that_contradict_a_file_are_refused(harness, tmp_path):
    own = saved({**shift(255), **weights(shapes.edsr(1, 4, 2))})
    command = ("import-checkpoint", own, "--values", "unit")
    assert_refused(harness, tmp_path, command, 2, "works on bytes values")
    whole = saved(liif_file(), "whole.pth")
    command = ("import-checkpoint", whole, "--values", "unit")
    assert_refused(harness, tmp_path, command, 2, "signed values")


OWN_FILES = {
    "EDSR project": {**shift(255), **weights(shapes.edsr(1, 4, 2))},
    "RDN-pytorch project": weights(shapes.pytorch_rdn(4, 2, 3, 3)),
    "SwinIR project": {"params": swinir_state(3)},
}


@pytest.mark.parametrize("project", OWN_FILES)
def test_files_of_other_projects_survive_import_and_export(project, harness):
    path = saved(OWN_FILES[project])
    told = json.loads(harness.good("import-checkpoint", path, "-o", "ours.pt", "--json"))
    assert (told["project"], told["values"], told["assumed"]) == (project, "[0, 1]", "")
    assert torch.equal(unit_answer(path), unit_answer(Path("ours.pt")))
    harness.good("export-checkpoint", "ours.pt", "back.pth")
    made, given = (state_of(torch.load(p)) for p in ("back.pth", path))
    assert all(torch.equal(made[key], value) for key, value in given.items())
    left = set(made) - set(given)
    assert all(key.endswith(("attn_mask", "relative_position_index")) for key in left)


def test_both_sets_of_weights_in_a_file():
    """SwinIR's own script for classical SR takes `params`; the other set is named."""
    state, ema = swinir_state(), {k: v * 2 for k, v in swinir_state().items()}
    read = open_checkpoint(saved({"params_ema": ema, "params": state}))
    assert torch.equal(read.model.network.first.weight, state["conv_first.weight"])
    assert any(entry.keys == ("params_ema",) for entry in read.official.unneeded)


def test_the_prefix_of_data_parallel_is_taken_off():
    state = {f"module.{k}": v for k, v in swinir_state().items()}
    assert open_checkpoint(saved(state)).meta["build"]["encoder"]["window"] == 4


# Names


def test_a_network_of_other_sizes_has_no_method(harness, tmp_path):
    """Neither by its place in our format nor by its file's name."""
    path = saved(liif_file(), "edsr-liif.pth")
    assert open_checkpoint(path).method == ""
    refused = ("import-checkpoint", path, "--method", "edsr-liif")
    assert_refused(harness, tmp_path, refused, 1, "none of the harness's methods (edsr-liif with")
    harness.good("import-checkpoint", path, "-o", "ours.pt")
    assert open_checkpoint("ours.pt").method == ""
    write_data(tmp_path / "data")
    for file in (path, "ours.pt"):
        content = json.loads(harness.good("eval", "--checkpoint", file, *VALID, "--json"))
        assert content["method"] == "edsr-liif.pth"
    harness.good("import-checkpoint", path, "-o", "named.pt", "--name", "small-liif")
    content = json.loads(harness.good("eval", "--checkpoint", "named.pt", *VALID, "--json"))
    assert content["method"] == "small-liif"
    for name, reason in (("edsr-lte", "method of its own"), ("a/b", "word"), ("", "word")):
        command = ("import-checkpoint", path, "--name", name)
        assert_refused(harness, tmp_path, command, 2, reason)


def test_the_depth_of_an_ablation_is_recognised():
    names = shapes.below("encoder", shapes.edsr(16, 64))
    names |= shapes.mlp("imnet", [580, 256, 256, 3])
    imnet = {"name": "mlp", "args": {"out_dim": 3, "hidden_list": [256, 256]}}
    encoder = {"name": "edsr-baseline", "args": {"no_upsampling": True}}
    model = {"name": "liif", "args": {"encoder_spec": encoder, "imnet_spec": imnet}}
    path = saved({"model": {**model, "sd": weights(names)}})
    assert open_checkpoint(path, "edsr-liif-3layer").method == "edsr-liif-3layer"


def test_the_large_edsr_of_the_official_configurations_is_an_encoder(harness):
    """`edsr` there: 32 blocks of 256 features, residuals times 0.1, unless arguments say less."""
    encoder = {"name": "edsr", "args": {"no_upsampling": True}}
    imnet = {"name": "mlp", "args": {"hidden_list": [256] * 3}}
    full = build_of("lte", {"encoder_spec": encoder, "imnet_spec": imnet})
    large = {"blocks": 32, "features": 256, "residual_scale": 0.1}
    assert (full.method.name, full.options, full.name) == ("edsr-lte", {"encoder": large}, "")
    spec = {"name": "edsr", "args": EDSR_ARGS}
    path = saved(liif_file(encoder_spec=spec), "large.pth")
    loaded = open_checkpoint(path)
    assert {block.scale for block in loaded.model.encoder.body[:-1]} == {0.1}
    harness.good("import-checkpoint", path, "-o", "ours.pt")
    harness.good("export-checkpoint", "ours.pt", "back.pth")
    given, back = torch.load(path)["model"], torch.load("back.pth")["model"]
    assert (back["name"], back["args"]) == (given["name"], given["args"])
    assert open_checkpoint("back.pth").weights == loaded.weights


def test_our_own_checkpoint_is_described_and_copied(harness, tmp_path):
    model = network("edsr-moeisr-liif-s")
    made = {"encoder": ENCODERS["edsr"], "decoder": DECODER}
    content = {"method": "edsr-moeisr-liif-s", "build": made, "step": 5, "origin": "trained here"}
    checkpoints.save(Path("a.pt"), {**content, "state_dict": model.state_dict()})
    told = json.loads(harness.good("import-checkpoint", "a.pt", "-o", "b.pt", "--json"))
    assert (told["layout"], told["method"]) == (checkpoints.FORMAT, "edsr-moeisr-liif-s")
    a, b = (open_checkpoint(p) for p in ("a.pt", "b.pt"))
    assert (a.weights, a.meta) == (b.weights, b.meta)
    refused = ("import-checkpoint", "a.pt", "--name", "x")
    assert_refused(harness, tmp_path, refused, 2, "--name is for those without a method")


def test_no_file_is_overwritten_unasked(harness, tmp_path):
    saved(liif_file(), "a.pth")
    (tmp_path / "there").write_text("precious")
    for command in (("import-checkpoint", "a.pth", "-o"), ("export-checkpoint", "a.pth")):
        assert_refused(harness, tmp_path, (*command, "there"), 1, "is there already")
        assert_refused(harness, tmp_path, (*command, "a.pth", "--force"), 1, "the file that is")
        assert_refused(harness, tmp_path, (*command, tmp_path), 1, "is a folder")
        harness.good(*command, "there", "--force")
        assert open_checkpoint("there").weights == open_checkpoint("a.pth").weights


# Refusals: (content of the file, what the message must hold)


def changed(content: dict[str, object], **state: torch.Tensor | None) -> dict[str, object]:
    """A file with other entries; None takes one out. `__` stands for the dot."""
    model = dict(content["model"])
    model["sd"] = with_entries(model["sd"], **state)
    return {**content, "model": model}


def with_entries(given: object, **state: torch.Tensor | None) -> dict[str, torch.Tensor]:
    new = {key.replace("__", "."): value for key, value in state.items()}
    return {k: v for k, v in {**given, **new}.items() if v is not None}


def other(spec: dict[str, object]) -> dict[str, object]:
    """LIIF over another encoder."""
    return liif_file(encoder_spec=spec)


RDN_STATE = weights(shapes.rdn(4, (2, 2, 3), 2))
MASK = "layers.0.residual_group.blocks.1.attn_mask"
INDEX = "layers.0.residual_group.blocks.0.attn.relative_position_index"
REFUSED = {
    "extra": (changed(liif_file(), imnet__layers__9__weight=torch.ones(2)),
              "unexpected imnet.layers.9.weight"),
    "extra-part": (changed(liif_file(), router__weight=torch.ones(2)), "unexpected router.weight"),
    "missing": (changed(liif_file(), encoder__head__0__bias=None),
                "missing encoder.head.0.bias"),
    "shape": (changed(liif_file(), encoder__head__0__bias=torch.ones(9)),
              "encoder.head.0.bias has shape (9,), the network (8,)"),
    "type": (changed(liif_file(), encoder__head__0__bias=torch.ones(8, dtype=torch.int32)),
             "encoder.head.0.bias holds torch.int32"),
    "no-tensor": (changed(liif_file(), encoder__head__0__bias=3), "no tensors"),
    "architecture": ({"model": {"name": "liff", "args": {}, "sd": {}}}, "Did you mean 'liif'"),
    "liif-as-lte": ({"model": {**liif_file()["model"], "name": "lte"}}, "missing coef.weight"),
    "argument": (liif_file(attention=True), "does not know: attention"),
    "encoder": (other({"name": "edsn", "args": {}}), "Unknown official encoder 'edsn'"),
    "encoder-argument": (other({"name": "rdn", "args": {"depth": 3}}), "does not know: depth"),
    "rdn-config": (other({"name": "rdn", "args": {"RDNconfig": "C", "no_upsampling": True}}),
                   "configurations A and B"),
    "upsampler": (other({"name": "edsr-baseline", "args": {**EDSR_ARGS, "no_upsampling": False}}),
                  "upsampler of its own"),
    "mlp": (liif_file(imnet_spec={"name": "mlp", "args": {"out_dim": 4, "hidden_list": [16, 16]}}),
            "MLP is of a kind"),
    "mlp-argument": (liif_file(imnet_spec={"name": "mlp", "args": {"hidden_list": [16], "act": 1}}),
                     "does not know: act"),
    "lmf-cmsr": (lmf_file("lmliif", mod_input=True, cmsr_spec={"mse_threshold": 2e-5}),
                 "tables of multi-scale rendering"),
    "lmf-amplitudes": (lmf_file("lmlte", mod_input=False), "the encoder's own amplitudes"),
    "lmf-ciaosr": (lmf_file("lmciaosr"), "Unknown official architecture 'lmciaosr'"),
    "lmf-latent": (lmf_file("lmliif", hidden=[8, 8]), "latent MLP has 2 hidden layers"),
    "lmf-render": (lmf_file("lmliif", {"mod_scale": False}), "render MLP is of a kind"),
    "lmf-convolution": (lmf_file("lmlte", {"use_conv": True}, mod_input=True),
                        "render MLP is of a kind"),
    "encoder-alone": ({"model": {**EDSR_SPEC, "sd": weights(shapes.edsr(1, 8))}},
                      "an encoder alone"),
    "scale": ({"model": {"name": "edsr-baseline", "args": {"scale": 8}, "sd": {}}},
              "enlarges by 8"),
    "edsr-large": ({**shift(255), **weights(shapes.edsr(1, 256, 2))}, "only EDSR-baseline"),
    "edsr-no-shift": (weights(shapes.edsr(1, 4, 2)), "does not say what colour values"),
    "edsr-odd-shift": ({**shift(2), **weights(shapes.edsr(1, 4, 2))}, "what colour values"),
    "edsr-other-mean": ({**shift(255), "add_mean.bias": torch.ones(3),
                         **weights(shapes.edsr(1, 4, 2))}, "what colour values"),
    "edsr-encoder": ({**shift(1), **weights(shapes.edsr(1, 4))}, "without its upsampler"),
    "edsr-extra": ({**shift(255), **weights(shapes.edsr(1, 4, 2)), "tail.2.weight": torch.ones(1)},
                   "unexpected"),
    "edsr-missing": (with_entries({**shift(1), **weights(shapes.edsr(2, 4, 2))},
                                  body__0__body__2__bias=None), "missing body.0.body.2.bias"),
    "rdn-missing": (with_entries(RDN_STATE, GFF__1__bias=None), "missing GFF.1.bias"),
    "rdn-shape": (with_entries(RDN_STATE, RDBs__1__LFF__bias=torch.ones(7)),
                  "RDBs.1.LFF.bias has shape (7,)"),
    "rdn-encoder": (weights(shapes.rdn(4, (2, 2, 3))), ""),
    "swinir-missing": (with_entries(swinir_state(), norm__bias=None), "missing norm.bias"),
    "swinir-extra": ({"params": {**swinir_state(), "norm.extra": torch.ones(2)}},
                     "unexpected norm.extra"),
    "swinir-encoder": (swinir_state(None), "without an upsampler"),
    "swinir-light": (with_entries(swinir_state(), conv_before_upsample__0__weight=None),
                     "for lightweight SR"),
    "swinir-real": (with_entries(swinir_state(), conv_up1__weight=torch.ones(1)),
                    "for real-world SR"),
    "swinir-grey": (with_entries(swinir_state(), conv_first__weight=torch.ones(6, 1, 3, 3)),
                    "other images than RGB"),
    "swinir-mask": ({**swinir_state(), MASK: torch.zeros(4, 16, 16)},
                    "no SwinIR with windows of 4"),
    "swinir-index": ({**swinir_state(), INDEX: torch.zeros(16, 16, dtype=torch.int64)},
                     "no SwinIR with windows of 4"),
    "liif-without-specification": (liif_file()["model"]["sd"], "no checkpoint that this version"),
    "unknown": ({"params": {"conv.weight": torch.ones(1)}}, "no checkpoint that this version"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_with_the_reason(name, harness, tmp_path):
    content, reason = REFUSED[name]
    path = saved(content)
    with pytest.raises(HarnessError) as refused:
        load_model(path)
    assert str(path) in str(refused.value)
    for command in (
        ("import-checkpoint", path, "-o", "out.pt"),
        ("export-checkpoint", path, "out.pth"),
        ("eval", "--checkpoint", path, "--dataset", "DIV2K_valid", "--data-root", "data"),
    ):
        assert_refused(harness, tmp_path, command, 1, reason)


@pytest.mark.parametrize("layout", ["model-sd", "params", "plain", "epoch"])
def test_code_in_an_official_file_is_not_executed(layout, harness, tmp_path):
    class Attack:
        def __reduce__(self):
            return (Path.touch, (Path("executed"),))

    content = {
        "model-sd": {"model": {"name": "liif", "args": {"encoder_spec": Attack()}, "sd": {}}},
        "params": {"params": {**swinir_state(), "norm.bias": Attack()}},
        "plain": {**swinir_state(), "extra": Attack()},
        "epoch": {**liif_file(), "epoch": Attack()},
    }[layout]
    path = saved(content)
    for command in (("import-checkpoint", path), ("import-checkpoint", path, "-o", "out.pt")):
        assert_refused(harness, tmp_path, command, 1, "nothing of it was executed")
    assert not Path("executed").exists()


def test_another_method_is_refused(harness: Harness, tmp_path):
    model = build("edsr-x2")
    content = {"method": "edsr-x2", "build": {}, "state_dict": model.state_dict()}
    checkpoints.save(Path("ours.pt"), content)
    harness.good("export-checkpoint", "ours.pt", "official.pth")
    command = ("import-checkpoint", "official.pth", "--method")
    assert_refused(
        harness, tmp_path, (*command, "edsr-x3"), 1, "belongs to edsr-x2, not to edsr-x3"
    )
    assert_refused(harness, tmp_path, (*command, "edsr-x5"), 2, "Unknown method 'edsr-x5'")
    harness.good(*command, "edsr-x2")
    with pytest.raises(HarnessError, match="enlarges by 2 only, not 3"):
        load_model("official.pth", scale=3)
