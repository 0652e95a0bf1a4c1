"""SeemoRe: names, an expert of its own for each image, costs, its files, training."""

from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path

import official_shapes as shapes
import pytest
import torch
from parity import generate
from test_cli import assert_refused
from test_flops import counted_by_fvcore
from tiny import network, write_data, write_profile
from torch import Tensor, nn

from baselines import UnknownMethodError, build, methods, parse
from baselines.registry import SYSTEMS
from baselines.shapes import shapes_only
from baselines.systems.fixed import FixedScaleSR
from baselines.systems.seemore import LowRankExpert, SeemoRe
from harness import checkpoints, profiles
from harness.checkpoints import load_model, open_checkpoint
from harness.common.errors import HarnessError
from harness.data.degrade import lr_size
from harness.data.published import label, printed_of, published, system
from harness.profiles.places import resolve
from harness.report.sections.scores import ScoreTable
from harness.runs.estimate import method_costs, training_costs
from harness.runs.experiment import Block, Experiment
from harness.runs.job import prepare
from harness.upscale.network import upscale

METHODS = [f"seemore-{size}-x{scale}" for size in "tbl" for scale in (2, 3, 4)]
HR = "1280x720 output"


def image(*size: int, seed: int = 0) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def seemore(method: str = "seemore-t-x2", **options: object) -> FixedScaleSR:
    """A tiny network whose routers tell images apart."""
    torch.manual_seed(1)
    sizes = {"groups": 3, "channels": 8, "recursion": 1, "kernel": 5, **options}
    model = build(method, encoder=sizes).eval()
    assert isinstance(model, FixedScaleSR)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            gain = 30 if "router" in name else 1
            parameter.data.normal_(0, gain / math.sqrt(parameter[0].numel()))
        elif "norm" not in name:
            parameter.data.zero_()
    return model


# Names


def test_three_sizes_at_three_scales_and_nothing_over_decoders():
    assert [m for m in methods() if m.startswith("seemore")] == METHODS
    assert not any(parse(m).decoder for m in methods() if parse(m).encoder in SYSTEMS)


@pytest.mark.parametrize("name", ["seemore-t-liif", "seemore-b-lte", "seemore-l-x5"])
def test_what_there_is_not_is_told_what_there_is(name):
    nearest = rf"Unknown method '{name}'. Did you mean 'seemore-{name[8]}-x\d'?"
    with pytest.raises(UnknownMethodError, match=nearest):
        build(name)


def test_it_has_no_ablations():
    with pytest.raises(UnknownMethodError, match="'seemore-t-x2' takes no suffix"):
        build("seemore-t-x2-3layer")


@pytest.mark.parametrize(
    ("part", "option", "reason"),
    [
        ("encoder", "group", "Did you mean 'groups'?"),
        ("encoder", "scale", "Unknown encoder option 'scale'"),
        ("decoder", "width", "Unknown decoder option 'width'"),
        ("head", "hidden", "Unknown head option 'hidden'"),
    ],
)
def test_unknown_options_are_refused(part, option, reason):
    with pytest.raises(TypeError, match=re.escape(reason)):
        build("seemore-t-x2", **{part: {option: 3}})


def test_options_change_the_network():
    sizes = {"groups": 2, "channels": 8, "recursion": 1, "ranks": [1, 3], "kernel": 5}
    made = build("seemore-l-x3", encoder=sizes).network
    found = [[e.expand.in_channels for e in g.rank.mixture.experts] for g in made.groups]
    assert found == [[1, 3], [1, 3]]
    assert made.groups[0].space.enhance.stripes[0].kernel_size == (1, 5)
    assert (made.recursion, made.shuffle, made.scale) == (1, False, 3)
    with pytest.raises(ValueError, match="a stripe of 4 taps"):
        build("seemore-t-x2", encoder={"kernel": 4})


def test_it_is_listed_with_its_size(harness):
    lines = {line["method"]: line for line in json.loads(harness.good("methods", "--json"))}
    assert lines["seemore-t-x2"]["parameters"] == 220_104
    assert [lines[m]["paper"] for m in METHODS[::3]] == ["SeemoRe-T", "SeemoRe-B", "SeemoRe-L"]
    assert {lines[m]["experts"] for m in METHODS} == {3}
    assert label("seemore-l-x4") == "SeemoRe-L"


# Routing


def test_each_image_of_a_batch_has_its_own_expert():
    """The authors' code evaluates one image at a time."""
    model, lr = seemore(), image(6, 3, 9, 7)
    with torch.no_grad():
        both, chosen = model.network.enlarge(lr)
        single = [model.network.enlarge(one[None]) for one in lr]
    # How sums are split depends on the CPU and on the batch.
    assert torch.allclose(both, torch.cat([sr for sr, _ in single]), atol=1e-4)
    assert chosen.tolist() == torch.cat([experts for _, experts in single]).tolist()
    assert len(chosen.unique(dim=0)) > 1, "the test means to mix experts in a batch"


def test_training_answers_as_evaluation_does():
    """Top-1 in both (Sec. 3.1); training asks every expert, and the others weigh nothing."""
    model, lr = seemore(), image(4, 3, 9, 7)
    with torch.no_grad():
        evaluated = model(lr)
        trained = model.train()(lr)
    assert torch.allclose(evaluated, trained, atol=1e-5)


def test_an_expert_that_is_not_chosen_is_not_called():
    model, lr = seemore(), image(1, 3, 9, 7)
    called = []
    for n, group in enumerate(model.network.groups):
        for j, expert in enumerate(group.rank.mixture.experts):
            expert.register_forward_hook(lambda *_, place=(n, j): called.append(place))
    with torch.no_grad():
        chosen = model.network.enlarge(lr)[1]
    assert called == list(enumerate(chosen[0].tolist()))
    called.clear()
    model.train()(lr)
    assert len(called) == 9


def test_gradients_reach_the_router_through_the_chosen_share():
    model, lr = seemore().train(), image(1, 3, 9, 7)
    sr, chosen = model.network.enlarge(lr)
    sr.square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        expert = re.search(r"groups\.(\d+)\.rank\.mixture\.experts\.(\d+)", name)
        idle = expert is not None and int(expert[2]) != chosen[0, int(expert[1])]
        assert bool(parameter.grad.abs().sum() > 0) != idle, name


def test_the_choice_depends_on_the_whole_image():
    """Far pixels reach the router's mean, and with it the share of the expert of all pixels."""
    mixture = seemore().network.groups[0].rank.mixture
    mixture.router.weight.data.mul_(0.1)
    one = image(1, 8, 8, 40)
    other = one.clone()
    other[..., 30:] = -2
    with torch.no_grad():
        near = [mixture(x)[0][..., :4] for x in (one, other)]
    assert (near[0] - near[1]).abs().max() > 1e-4


def test_an_expert_is_a_product_in_few_channels():
    """Eq. 3: R channels of each input, multiplied, and back to C."""
    expert = LowRankExpert(8, 2)
    assert {tuple(p.shape[:2]) for p in expert.parameters() if p.dim() > 1} == {(2, 8), (8, 2)}
    local, context = image(1, 8, 4, 4), image(1, 8, 4, 4, seed=1)
    with torch.no_grad():
        for layer in (expert.local, expert.context, expert.expand):
            layer.bias.zero_()
        doubled = expert(2 * local, 3 * context)
        assert torch.allclose(doubled, 6 * expert(local, context), atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_left_on_the_module(training):
    model = seemore().train(training)
    before = [(name, repr(vars(part))) for name, part in model.named_modules()]
    with torch.no_grad():
        first, _, again = (model(image(2, 3, *size)) for size in ((9, 7), (5, 12), (9, 7)))
    assert [(name, repr(vars(part))) for name, part in model.named_modules()] == before
    assert torch.equal(first, again)


@pytest.mark.parametrize("size", [(1, 1), (1, 20), (15, 16), (16, 16), (17, 33)])
def test_any_size(size):
    """Below 16 pixels a side the authors' code has no context to gather."""
    model = seemore(recursion=2)
    with torch.no_grad():
        found = model(image(1, 3, *size))
    assert found.shape == (1, 3, 2 * size[0], 2 * size[1])
    assert found.isfinite().all()


def test_half_precision():
    model, lr = network("seemore-t-x2"), image(1, 3, 20, 18)
    exact = upscale(model, lr, 2)
    rough = upscale(model, lr, 2, precision="bf16")
    assert rough.image.dtype == torch.float32
    assert 0 < (exact.image - rough.image).abs().max() < 0.02


# Costs


def on_meta(method: str) -> FixedScaleSR:
    with shapes_only():
        model = build(method)
    assert isinstance(model, FixedScaleSR)
    return model


def fixed_network(method: str) -> SeemoRe:
    network = on_meta(method).network
    assert isinstance(network, SeemoRe)
    return network


def lr_of_hd(scale: int) -> tuple[int, int]:
    """1280 is no multiple of three."""
    return 720 // scale, 1280 // scale


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (19, 31), (33, 64)])
@pytest.mark.parametrize("method", ["seemore-t-x2", "seemore-b-x3", "seemore-l-x4"])
def test_multiply_adds_equal_fvcore_at_any_size(method, size):
    """At these sizes the reduced images are no fixed share of the pixels; groups are all alike."""
    model, lr = build(method, encoder={"groups": 2}).eval(), image(1, 3, *size)
    hr = (size[0] * model.scale, size[1] * model.scale)
    with torch.no_grad():
        choice = model.network.enlarge(lr)[1][0]
    assert model.count(size, hr, choice).total == counted_by_fvcore(model, lr)


def test_multiply_adds_are_not_proportional_to_pixels():
    costs = {side: fixed_network("seemore-t-x2").macs((side, side))[0] for side in (16, 32, 40)}
    router = 6 * 36 * 3
    assert costs[32] - router == 4 * (costs[16] - router)
    assert costs[40] - router < (40 / 16) ** 2 * (costs[16] - router)


def test_the_choice_decides_the_cost():
    model, size = on_meta("seemore-t-x2"), (20, 24)
    costs = model.network.macs(size)
    more_ranks = (2, 4)
    assert [b - a for a, b in itertools.pairwise(costs)] == [
        6 * 20 * 24 * 3 * 36 * more for more in more_ranks
    ]
    hr = (40, 48)
    choice = torch.tensor([0, 0, 0, 1, 2, 2])
    found = model.count(size, hr, choice)
    assert found.shares == (1 / 2, 1 / 6, 1 / 3)
    assert found.total == costs[0] + (costs[1] - costs[0]) // 6 + (costs[2] - costs[0]) // 3
    assert model.count(size, hr, shares=[0, 1, 0]).total == costs[1]
    unknown = model.count(size, hr)
    assert (unknown.total, unknown.shares) == (max(costs), ())


@pytest.mark.parametrize("method", METHODS)
def test_published_parameters(method):
    """Table 1 prints thousands, of size T; the others were counted in the authors' code."""
    scale = int(method[-1])
    count = sum(p.numel() for p in on_meta(method).parameters())
    assert count == published("seemore_computed.csv", "computed", method, "none", scale, "params")
    found = printed_of([("seemore_table1.csv", "1")], system(method), "none", scale, "params")
    assert (found is None) == ("-t-" not in method)
    assert found is None or f"{count / 1e3:.0f}" == f"{found.value / 1e3:.0f}"


# Sums of the ranks that the layers chose where the published multiply-adds were counted. They are
# not published: they are the only ones that give all nine figures, see the test.
RANKS = {"t": {2: 32, 3: 38, 4: 38}, "b": dict.fromkeys((2, 3, 4), 44),
         "l": dict.fromkeys((2, 3, 4), 92)}  # fmt: skip


def shares_of(total: int, layers: int) -> list[float]:
    """Shares of ranks 2, 4, 8 with this sum: any will do."""
    found = next(
        (n2, n4, layers - n2 - n4)
        for n2 in range(layers + 1)
        for n4 in range(layers + 1 - n2)
        if 2 * n2 + 4 * n4 + 8 * (layers - n2 - n4) == total
    )
    return [n / layers for n in found]


@pytest.mark.parametrize("method", METHODS)
def test_computed_multiply_adds_to_the_last_digit(method):
    """Counted on an LR image of a quarter of each side and scaled by area, as the file's notes say
    (but for the quarter, which follows: with it, whole numbers of ranks give all nine)."""
    scale = int(method[-1])
    network = fixed_network(method)
    shares = shares_of(RANKS[method[8]][scale], network.layer_count)
    small = tuple(n // 4 for n in lr_of_hd(scale))
    area = 1280 * 720 / scale**2
    found = network.count(small, shares=shares).encoder * area / math.prod(small)
    expected = published("seemore_computed.csv", "computed", method, HR, scale, "macs")
    assert f"{found / 1e9:.2f}" == f"{expected / 1e9:.2f}"
    # The whole image differs by the reduced images' rounding alone, and by the columns of x3.
    whole = network.count(lr_of_hd(scale), shares=shares).encoder
    assert whole == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_table_1_to_the_printed_digit(scale):
    """Of size T: 45, 20 and 12 G; with the ranks above, and with the highest in every layer."""
    network = fixed_network(f"seemore-t-x{scale}")
    expected = published("seemore_table1.csv", "1", f"seemore-t-x{scale}", HR, scale, "macs")
    for shares in (None, shares_of(RANKS["t"][scale], 6)):
        found = network.count(lr_of_hd(scale), shares=shares).encoder
        assert f"{found / 1e9:.0f}" == f"{expected / 1e9:.0f}"


def test_the_choice_moves_little():
    for method in METHODS:
        least, _, most = fixed_network(method).macs(lr_of_hd(int(method[-1])))
        assert 1 < most / least < 1.025


def test_flops_command(harness):
    command = ("flops", "seemore-t-x2", "--scale", 2, "--size", "360x640", "--json")
    dearest = json.loads(harness.good(*command))
    assert f"{dearest['total_macs'] / 1e9:.2f}" == "44.98"
    assert "ASSUMED the dearest in every layer" in dearest["experts"]
    even = json.loads(harness.good(*command, "--shares", "even"))
    assert f"{even['total_macs'] / 1e9:.2f}" == "44.48"
    assert "ASSUMED shares 0.3333" in even["experts"]


def test_a_measurement_counts_the_experts_that_were_chosen(harness, tmp_path):
    write_data(tmp_path / "data")
    model = seemore()
    options = {"groups": 3, "channels": 8, "recursion": 1, "kernel": 5}
    content = {"method": "seemore-t-x2", "build": {"encoder": options}}
    checkpoints.save(Path("x.pt"), {**content, "state_dict": model.state_dict()})
    data = ("--dataset", "DIV2K_valid", "--data-root", "data", "--scale", 2, "--json")
    harness.good("eval", "--checkpoint", "x.pt", *data)
    rows = [
        json.loads(line)
        for file in Path("results").rglob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    told = json.loads(
        harness.good("flops", "seemore-t-x2", "--checkpoint", "x.pt", "--as-lr", "lr", *data)
    )
    lines = {line["image"]: line for line in told["per_image"]}
    assert told["experts"] == "chosen by x.pt"
    assert len(rows) == len(lines) == 2
    for row in rows:
        line = lines[row["image"]]
        assert row["macs"]["encoder"] == line["encoder_macs"]
        assert sum(line["expert_shares"]) == pytest.approx(1)
        costs = model.network.macs(tuple(row["lr_size"]))
        assert min(costs) <= row["macs"]["encoder"] < max(costs)


def test_an_experiment_can_have_it_as_a_row(tmp_path):
    """Its cost is estimated with all experts in even shares."""
    write_data(tmp_path / "data")
    profile = profiles.load(str(write_profile(tmp_path / "p.yaml")))
    experiment = Experiment(
        name="own",
        title="",
        source="",
        blocks=(Block(("seemore-t-xN", "seemore-b-xN")),),
        roles=("DIV2K_valid",),
        scales=(2, 4),
        sections=(ScoreTable("psnr"),),
    )
    places = resolve(tmp_path / "data")
    job = prepare(experiment, profile, places, torch.device("cpu"), ["seemore-t-xN"])
    trained = [method.name for method in job.trained_methods()]
    assert trained == ["seemore-t-x2", "seemore-t-x3", "seemore-t-x4"]
    assert [job.units(method.can_do) for method in job.methods] == [
        [("DIV2K_valid", 2)],
        [],
        [("DIV2K_valid", 4)],
    ]
    expected = 0
    for item in job.datasets["DIV2K_valid"].items:
        costs = network("seemore-t-x4").network.macs(lr_size(item.size(), 4))
        expected += round(sum(cost / 3 for cost in costs))
    costs = method_costs(job, training_costs([job]))
    (found,) = (cost for cost in costs if cost["method"] == "seemore-t-x4")
    assert found["evaluation_macs"] == expected
    assert found["training_macs"] > 0


# Files

RULES = [(r"^upsampler", 0.3), (r".", 1.0)]


def state_of(groups: int = 2, channels: int = 6, scale: int = 2) -> dict[str, Tensor]:
    found: dict[str, Tensor] = generate(shapes.seemore(groups, channels, scale), RULES)
    return found


def saved(content: object) -> Path:
    torch.save(content, "file.pth")
    return Path("file.pth")


@pytest.mark.parametrize(
    ("size", "groups", "channels"), [("t", 6, 36), ("b", 8, 48), ("l", 16, 48)]
)
@pytest.mark.parametrize("key", ["params", "params_ema"])
def test_published_sizes_are_recognised(size, groups, channels, key, harness):
    path = saved({key: state_of(groups, channels, 3)})
    method = f"seemore-{size}-x3"
    loaded = open_checkpoint(path, method=method, scale=3)
    assert (loaded.method, loaded.meta["build"]) == (method, {})
    assert load_model(path, method, 3).input_range == "unit"
    told = json.loads(harness.good("import-checkpoint", path, "-o", "ours.pt", "--json"))
    assert (told["project"], told["values"], told["assumed"]) == ("SeemoRe project", "[0, 1]", "")
    with pytest.raises(HarnessError, match="enlarges by 3 only"):
        load_model(path, scale=2)
    ours, lr = load_model("ours.pt", method), image(1, 3, 18, 17)
    with torch.no_grad():
        assert torch.equal(ours(lr), loaded.model(lr))


def test_of_two_sets_of_weights_the_one_that_its_own_code_tests_with():
    """`params`, unless told otherwise; the other set is named."""
    state, ema = state_of(), {k: v * 2 for k, v in state_of().items()}
    read = open_checkpoint(saved({"params_ema": ema, "params": state}))
    assert torch.equal(read.model.network.first.weight, state["conv_1.weight"])
    assert any(entry.keys == ("params_ema",) for entry in read.official.unneeded)


def test_what_a_file_of_other_sizes_does_not_say_is_assumed_and_said(harness):
    path = saved({"params": state_of()})
    loaded = open_checkpoint(path)
    assert loaded.method == ""
    assert loaded.meta["build"] == {"encoder": {"groups": 2, "channels": 6}}
    assert (
        "assumed, since the file does not say it: recursion 2, shuffle True"
        in (loaded.meta["origin"])
    )


def test_settings_that_weights_do_not_show_are_another_checkpoint():
    hashes = set()
    state = seemore().state_dict()
    for unseen in ({}, {"recursion": 2}, {"shuffle": False}):
        options = {"groups": 3, "channels": 8, "recursion": 1, "kernel": 5, **unseen}
        content = {"method": "seemore-t-x2", "build": {"encoder": options}, "state_dict": state}
        checkpoints.save(Path("x.pt"), content)
        hashes.add(open_checkpoint("x.pt").weights)
    assert len(hashes) == 3


def test_trained_networks_are_exported(harness):
    model = build("seemore-l-x2")
    content = {"method": "seemore-l-x2", "build": {}, "state_dict": model.state_dict()}
    checkpoints.save(Path("ours.pt"), content)
    told = json.loads(harness.good("export-checkpoint", "ours.pt", "back.pth", "--json"))
    assert (told["project"], told["layout"], told["constructed"]) == (
        "SeemoRe project",
        "params",
        0,
    )
    assert list(torch.load("back.pth")["params"]) == list(shapes.seemore(16, 48, 2))
    assert open_checkpoint("back.pth", "seemore-l-x2").weights == open_checkpoint("ours.pt").weights


def test_a_file_that_would_be_read_otherwise_is_not_written(harness, tmp_path):
    options = {"recursion": 1}
    model = build("seemore-t-x2", encoder=options)
    content = {"method": "seemore-t-x2", "build": {"encoder": options}}
    checkpoints.save(Path("ours.pt"), {**content, "state_dict": model.state_dict()})
    command = ("export-checkpoint", "ours.pt", "back.pth")
    assert_refused(harness, tmp_path, command, 1, "does not hold recursion")


def changed(**entries: Tensor | None) -> dict[str, Tensor]:
    """A state dict with other entries; None takes one out. `__` stands for the dot."""
    new = {key.replace("__", "."): value for key, value in entries.items()}
    return {k: v for k, v in {**state_of(), **new}.items() if v is not None}


REFUSED = {
    "missing": (changed(norm__bias=None), "missing norm.bias"),
    "shape": (changed(norm__bias=torch.ones(5)), "norm.bias has shape (5,), the network (6,)"),
    "extra": (changed(body__0__extra=torch.ones(1)), "unexpected body.0.extra"),
    "grey": (changed(conv_1__weight=torch.ones(6, 1, 3, 3)), "other images than RGB"),
    "scale": (changed(upsampler__0__weight=torch.ones(192, 6, 3, 3)), "enlarges by 8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_with_the_reason(name, harness, tmp_path):
    state, reason = REFUSED[name]
    command = ("import-checkpoint", saved({"params": state}), "-o", "out.pt")
    assert_refused(harness, tmp_path, command, 1, reason)


# Training


def test_a_step_of_training_changes_every_weight_that_it_may():
    model = network("seemore-t-x2").train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    lr, coord = image(2, 3, 8, 8) * 2 - 1, image(2, 32, 2, seed=1) * 2 - 1
    loss = (model.pixels(lr, coord) - image(2, 32, 3, seed=2)).abs().mean()
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    after = model.state_dict()
    assert all(value.isfinite().all() for value in after.values())
    chosen = {
        f"body.{n}.local_block.block.moe_layer.experts.{j}."
        for n, served in enumerate(model.network.enlarge(lr / 2 + 0.5)[1].T.tolist())
        for j in served
    }
    for name, value in after.items():
        idle = "experts" in name and not any(part in name for part in chosen)
        assert torch.equal(value, before[name]) == idle, name


def test_the_networks_start_as_pytorchs_layers_do():
    """No initialisation of its own, as in the authors' code: seeds decide the weights alone."""
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(network("seemore-b-x2"))
    assert all(torch.equal(a, b) for a, b in zip(*(m.parameters() for m in made), strict=True))
    norms = [m for m in made[0].modules() if isinstance(m, nn.LayerNorm)]
    assert len(norms) == 2 * 4 + 1
    assert all(m.weight.eq(1).all() and m.bias.eq(0).all() for m in norms)
