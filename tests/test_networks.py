"""Every network: a pure function of image and queries; MoEISR as its equations say."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import DECODER, ENCODER, MIXTURES, NETWORKS, network, seen_by
from torch import nn

from baselines import UnknownMethodError, build, methods, parse, plain
from baselines.base import Box
from baselines.geometry import latent_queries, make_cell, make_coord
from baselines.plain import decode_plain
from baselines.shapes import shapes_only
from harness.upscale.network import upscale
from moeisr.losses import balance_loss, moeisr_loss


def queries(size: tuple[int, int], batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Coordinates and cells of a grid."""
    coord = make_coord(size).repeat(batch, 1, 1)
    return coord, make_cell(size).expand_as(coord)


def image(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# Names


def test_the_methods_of_the_edsr_columns_of_table_1():
    table1 = {
        "bicubic",
        *("edsr-liif", "edsr-moeisr-liif-s", "edsr-moeisr-liif-b"),
        *("edsr-lte", "edsr-moeisr-lte-s", "edsr-moeisr-lte-b"),
    }
    assert table1 <= set(methods())


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("edsr-lif", "edsr-liif"),
        ("edsr-moeiser-lte-b", "edsr-moeisr-lte-b"),
        ("Bicubic", "bicubic"),
        ("liif", "edsr-liif', 'rcan-liif' or 'rdn-liif"),
        ("LTE", "edsr-lte', 'rcan-lte' or 'rdn-lte"),
        ("moeisr", "edsr-moeisr-liif-s', 'edsr-moeisr-liif-b' or 'edsr-moeisr-lte-s"),
        ("rdn-moeisr", "rdn-moeisr-liif-s', 'rdn-moeisr-liif-b' or 'rdn-moeisr-lte-s"),
        ("igconv-plus", "edsr-igconv-plus', 'rcan-igconv-plus' or 'rdn-igconv-plus"),
        ("seemore", "seemore-t-x2', 'seemore-t-x3' or 'seemore-t-x4"),
    ],
)
def test_an_unknown_method_is_told_the_nearest(name, nearest):
    """Three at most, and where the list is."""
    with pytest.raises(UnknownMethodError) as error:
        build(name)
    said = str(error.value)
    assert said.startswith(f"Unknown method '{name}'. Did you mean '{nearest}'")
    assert said.endswith("? `harness methods` lists all.")
    assert len(said) < 170


OPTIONS = [
    ("encoder", "block", "blocks"),
    ("decoder", "with", "width"),
    ("head", "temprature", "temperature"),
]


@pytest.mark.parametrize(("part", "option", "nearest"), OPTIONS)
def test_an_unknown_option_is_told_the_nearest(part, option, nearest):
    expected = f"Unknown {part} option '{option}'. Did you mean '{nearest}'?"
    with pytest.raises(TypeError, match=re.escape(expected)):
        build("edsr-moeisr-liif-s", **{part: {option: 1}})


def test_a_plain_method_has_no_head_options():
    with pytest.raises(TypeError, match="Unknown head option 'temperature'"):
        build("edsr-liif", head={"temperature": 3})


@pytest.mark.parametrize(
    ("method", "part", "count"),
    [
        ("edsr-liif", "", 1_567_299),
        ("edsr-liif", "head.mlp", 346_883),
        ("edsr-lte", "", 1_714_243),
    ],
)
def test_parameters_at_the_papers_sizes(method, part, count):
    with shapes_only():
        model = build(method)
    assert sum(p.numel() for p in model.get_submodule(part).parameters()) == count


def test_networks_without_values_are_the_others_otherwise():
    for method in filter(lambda name: parse(name).encoder, methods()):
        with shapes_only():
            found = network(method).state_dict()
        expected = network(method).state_dict()
        assert [(k, v.shape) for k, v in found.items()] == [
            (k, v.shape) for k, v in expected.items()
        ]
        assert all(value.is_meta for value in found.values())
        assert not any(value.is_meta for value in expected.values())


def test_parameters_of_lte_outside_its_encoder():
    with shapes_only():
        model = build("edsr-lte")
    outside = [p for name, p in model.named_parameters() if not name.startswith("encoder.")]
    assert sum(p.numel() for p in outside) == 493_827


@pytest.mark.parametrize(("method", "fed", "layers"), [("liif", 580, 4), ("lte", 256, 3)])
@pytest.mark.parametrize(("size", "width"), [("s", 128), ("b", 256)])
def test_experts_at_the_papers_sizes(method, fed, layers, size, width):
    """Depths from two linear layers to the depth of the decoder's own MLP."""
    with shapes_only():
        head = build(f"edsr-moeisr-{method}-{size}").head
    found = [[(m.in_features, m.out_features) for m in expert.modules()
              if isinstance(m, nn.Linear)] for expert in head.experts]  # fmt: skip
    inner = (width, width)
    assert found == [[(fed, width), *[inner] * n, (width, 3)] for n in range(layers)]
    convolutions = [m for m in head.mapper.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 5
    assert all(m.kernel_size == (3, 3) for m in convolutions)
    assert (convolutions[0].in_channels, convolutions[-1].out_channels) == (64, layers)


# Every network


@pytest.mark.parametrize("method", NETWORKS)
def test_decoding_in_chunks_changes_nothing(method):
    model, small = network(method), image(1, 3, 7, 9)
    lr, size = seen_by(model, small, (23, 31))
    coord, cell = queries(size)
    with torch.no_grad():
        whole = model(lr, coord, cell)
        features = model.encode(lr)
        parts = [
            model.decode(features, c, s)
            for c, s in zip(coord.split(100, dim=1), cell.split(100, dim=1), strict=True)
        ]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-6)
    as_image = whole[0].T.reshape(3, *size)
    for n in (17, 10_000):
        found = decode_plain(model, features, size, chunk=n)
        assert torch.allclose(found, as_image, atol=1e-6)
    made = upscale(model, small / 2 + 0.5, 3, (23, 31)).image[0]
    assert torch.allclose(made, as_image[:, :23, :31] / 2 + 0.5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 100])
@pytest.mark.parametrize("size", [(1, 5), (2, 3), (11, 3)])
@pytest.mark.parametrize("method", NETWORKS)
def test_decoding_from_a_few_rows_at_a_time_changes_nothing(method, size, rows, monkeypatch):
    """Large images are decoded from a part of their codes; here the part is tiny."""
    model, lr = network(method), torch.rand(1, 3, *size)
    with torch.no_grad():
        target = (round(size[0] * 3.7), round(size[1] * 3.7))
        seen, extent = seen_by(model, lr * 2 - 1, target)
        whole = model(seen, *queries(extent))[0].T.reshape(3, *extent) / 2 + 0.5
    whole = whole[:, : target[0], : target[1]]
    row_bytes = 4 * seen.shape[-1] * model.decoder.code_dim
    monkeypatch.setitem(plain.TABLE_BYTES, "cpu", rows * row_bytes)
    with torch.no_grad():
        features = model.encode(seen)
    box = Box(target[0] // 3, 1, target[0] // 3 + 1, 5)
    inside = whole[:, box.top : box.top + box.height, box.left : box.left + box.width]
    for chunk in (7, 40, None):
        made = plain.decode_plain(model, features, extent, Box(0, 0, *target), chunk=chunk)
        assert torch.allclose(made / 2 + 0.5, whole, atol=1e-5)
        made = upscale(model, lr, 3.7, memory=chunk and chunk * row_bytes).image[0]
        assert torch.allclose(made, whole, atol=1e-5)
        part = upscale(model, lr, 3.7, box=box, memory=chunk).image[0]
        assert torch.allclose(part, inside, atol=1e-5)


def snapshot(module: nn.Module) -> dict[str, object]:
    """Every attribute of every submodule, values of tensors included."""
    found: dict[str, object] = {}
    for name, part in module.named_modules():
        for key, value in vars(part).items():
            if key == "_modules":  # each has its own turn
                found[f"{name}.{key}"] = {child: id(inner) for child, inner in value.items()}
            elif key in ("_parameters", "_buffers"):
                found[f"{name}.{key}"] = {
                    own: None if tensor is None else tensor.tolist()
                    for own, tensor in value.items()
                }
            else:
                found[f"{name}.{key}"] = repr(value)
    return found


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("method", NETWORKS)
def test_nothing_is_left_on_the_module(method, training):
    model = network(method).train(training)
    before = snapshot(model)
    with torch.no_grad():
        first = model(image(1, 3, 5, 6), *queries((9, 8)))
        model(image(2, 3, 7, 4, seed=1), *queries((11, 5), 2))
        again = model(image(1, 3, 5, 6), *queries((9, 8)))
    assert snapshot(model) == before
    if not training:
        assert torch.equal(first, again)


@pytest.mark.parametrize("method", NETWORKS)
def test_a_batch_is_its_images(method):
    model, lr = network(method), image(2, 3, 6, 5)
    coord, cell = queries((13, 11), 2)
    coord = coord + torch.tensor([[[0.0]], [[0.01]]])
    with torch.no_grad():
        both = model(lr, coord, cell)
        single = [model(lr[i : i + 1], coord[i : i + 1], cell[i : i + 1]) for i in (0, 1)]
    assert torch.allclose(both, torch.cat(single), atol=1e-6)
    assert not torch.allclose(both[0], both[1], atol=1e-3)


BORDER = [(y, x) for y in (-1.0, 0.0, 1.0) for x in (-1.0, 0.0, 1.0)]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (5, 3), (2, 2)])
@pytest.mark.parametrize("method", NETWORKS)
def test_any_size_and_any_place(method, size):
    """Corners and edges of the smallest images, and scales that are no integers."""
    model, lr = network(method), image(1, 3, *size)
    coord = torch.tensor([BORDER])
    with torch.no_grad():
        assert model(lr, coord, torch.full_like(coord, 0.1)).isfinite().all()
        for scale in (1, 1.3, 3.7, 30):
            made = upscale(model, lr / 2 + 0.5, scale).image
            assert made.shape == (1, 3, round(size[0] * scale), round(size[1] * scale))
            assert made.isfinite().all()


@pytest.mark.parametrize("method", [m for m in NETWORKS if not m.startswith(("swinir", "rcan"))])
def test_a_query_knows_only_its_surroundings(method):
    """LR pixels beyond the receptive field do not matter, so chunks of an image are safe.

    SwinIR's reaches further than this test's image: each pair of blocks a window and a half. RCAN's
    is the image.
    """
    model, lr = network(method), image(1, 3, 40, 6)
    other = lr.clone()
    other[:, :, 25:] = 0
    coord, cell = queries((40, 6))
    with torch.no_grad():
        a, b = (model(x, coord, cell).reshape(40, 6, 3) for x in (lr, other))
    assert torch.allclose(a[:10], b[:10], atol=1e-6)
    assert not torch.allclose(a[-10:], b[-10:], atol=1e-3)


@pytest.mark.parametrize("method", ["edsr-lte", "edsr-moeisr-lte-b"])
def test_lte_adds_the_bilinear_enlargement_of_its_input(method):
    model, lr = network(method), image(1, 3, 5, 7)
    for parameter in model.head.parameters():
        parameter.data.zero_()
    with torch.no_grad():
        found = model(lr, *queries((10, 14))).reshape(10, 14, 3).permute(2, 0, 1)
    expected = nn.functional.interpolate(lr, size=(10, 14), mode="bilinear")
    assert torch.allclose(found, expected[0], atol=1e-5)


def test_lte_pairs_cosines_so_its_width_is_even():
    with pytest.raises(ValueError, match="width 15 is odd"):
        build("edsr-lte", decoder={"width": 15})


sides, places = st.integers(1, 9), st.floats(-1, 1, width=32)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(h=sides, w=sides, y=places, x=places)
def test_ensemble_weights_sum_to_one_and_grow_with_the_distance_to_the_others(h, w, y, x):
    found = latent_queries(torch.tensor([[[y, x]]]), (h, w), ensemble=True)
    weights = [q.weight.item() for q in found]
    assert sum(weights) == pytest.approx(1, abs=1e-5)
    assert min(weights) >= 0
    assert all(0 <= q.index.item() < h * w for q in found)
    for query in found:
        row, column = divmod(query.index.item(), w)
        centre = torch.tensor([(2 * row + 1) / h - 1, (2 * column + 1) / w - 1])
        relative = (torch.tensor([y, x]) - centre) * torch.tensor([h, w])
        assert torch.allclose(query.rel_coord.flatten(), relative, atol=1e-4)
        if len({int(q.index) for q in found}) == 4:
            # Between four codes the weights are those of bilinear interpolation.
            bilinear = (1 - relative.abs() / 2).prod().item()
            assert query.weight.item() == pytest.approx(bilinear, abs=1e-3)


# MoEISR


def reference(model: nn.Module, lr: torch.Tensor, coord: torch.Tensor, cell: torch.Tensor):
    """One query after the other: all experts are evaluated, the argmax's answer is taken."""
    latent = model.encoder(lr)
    h, w = latent.shape[-2:]
    codes = model.tabulate(model.encode(lr), torch.zeros(1, 2)).codes[0]
    choice = model.head.mapper(latent)[0].argmax(dim=-1)
    (nearest,) = latent_queries(coord, (h, w), ensemble=False)
    answers = torch.zeros(coord.shape[1], 3)
    for query in latent_queries(coord, (h, w), model.ensemble):
        for n in range(coord.shape[1]):
            k = int(query.index[0, n])
            fed = model.decoder.feed(
                codes[k][None], query.rel_coord[0, n][None], cell[0, n][None] * torch.tensor([h, w])
            )
            outputs = torch.cat([expert(fed) for expert in model.head.experts])
            chooser = k if model.head.routing_unit == "latent" else int(nearest.index[0, n])
            share = 1 if query.weight is None else query.weight[0, n]
            answers[n] += share * outputs[choice[chooser]]
    skip = model.decoder.skip(lr, coord)
    return answers if skip is None else answers + skip[0]


@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("unit", ["latent", "pixel"])
@pytest.mark.parametrize("method", MIXTURES)
def test_evaluation_takes_the_most_probable_expert_alone(method, unit, ensemble):
    model = network(method, head={"routing_unit": unit}, ensemble=ensemble)
    lr = image(1, 3, 5, 6)
    coord, cell = queries((11, 14))
    with torch.no_grad():
        found = model(lr, coord, cell)[0]
        assert torch.allclose(found, reference(model, lr, coord, cell), atol=1e-5)
        chosen = model.encode(lr).routing.probabilities.argmax(dim=-1)
    assert len(chosen.unique()) > 1, "the test means to mix experts in one image"


def test_routing_units_differ():
    lr, grid = image(1, 3, 5, 6), queries((11, 14))
    with torch.no_grad():
        found = [
            network("edsr-moeisr-liif-b", head={"routing_unit": unit})(lr, *grid)
            for unit in ("latent", "pixel")
        ]
    assert not torch.allclose(*found, atol=1e-4)


@pytest.mark.parametrize("method", MIXTURES)
def test_an_expert_that_is_not_chosen_is_not_called(method):
    model = network(method)
    called: dict[int, int] = {}
    for j, expert in enumerate(model.head.experts):
        expert.register_forward_hook(
            lambda _, given, __, j=j: called.update({j: called.get(j, 0) + len(given[0])})
        )
    last = [m for m in model.head.mapper.modules() if isinstance(m, nn.Conv2d)][-1]
    last.weight.data.zero_()
    last.bias.data.copy_(-torch.arange(len(model.head.experts)).float())
    with torch.no_grad():
        model(image(1, 3, 4, 4), *queries((8, 8)))
    assert called == {0: 4 * 64}, "each code of each query once, by the first expert alone"


@pytest.mark.parametrize("method", MIXTURES)
def test_training_mixes_all_experts_by_their_gates(method):
    """Eq. 5, with the gates that were drawn for the LR pixel of each code."""
    model = network(method).train()
    h, w = (8, 4) if method.startswith("swinir") else (4, 5)
    lr = image(2, 3, h, w)
    coord, cell = queries((7, 9), 2)
    torch.manual_seed(3)
    features = model.encode(lr)
    found = model.decode(features, coord, cell)
    gates, codes = features.routing.gates, model.tabulate(features, torch.zeros(1, 2)).codes
    expected = model.decoder.skip(lr, coord)
    expected = torch.zeros(2, 63, 3) if expected is None else expected
    for query in latent_queries(coord, (h, w), ensemble=True):
        for image_number in (0, 1):
            index = query.index[image_number]
            fed = model.decoder.feed(
                codes[image_number][index],
                query.rel_coord[image_number],
                cell[image_number] * torch.tensor([h, w]),
            )
            mixed = sum(
                gates[image_number][index, j : j + 1] * expert(fed)
                for j, expert in enumerate(model.head.experts)
            )
            expected[image_number] += query.weight[image_number][:, None] * mixed
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("method", MIXTURES)
def test_gates_are_a_gumbel_softmax_of_the_scores(method, hard):
    temperature = 2.5
    model = network(method, head={"temperature": temperature, "straight_through": hard}).train()
    lr = image(1, 3, 6, 7)
    torch.manual_seed(7)
    routing = model.encode(lr).routing
    torch.manual_seed(7)
    scores = model.head.mapper(model.encoder(lr))
    noise = -torch.empty(scores.shape).exponential_().log()
    soft = ((scores + noise) / temperature).softmax(dim=-1)
    pixels = scores.shape[1]
    assert torch.allclose(routing.gates.sum(dim=-1), torch.ones(1, pixels), atol=1e-5)
    assert torch.allclose(routing.probabilities, scores.softmax(dim=-1), atol=1e-6)
    if hard:
        assert torch.allclose(routing.gates.max(dim=-1).values, torch.ones(1, pixels), atol=1e-6)
        assert torch.equal(routing.gates.argmax(dim=-1), soft.argmax(dim=-1))
        assert routing.gates.requires_grad
    else:
        assert torch.allclose(routing.gates, soft, atol=1e-5)


def test_a_high_temperature_evens_the_gates_out():
    spread = []
    for temperature in (1.0, 100.0):
        model = network("edsr-moeisr-liif-s", head={"temperature": temperature}).train()
        torch.manual_seed(0)
        spread.append(model.encode(image(1, 3, 8, 8)).routing.gates.std().item())
    assert spread[0] > 0.2
    assert spread[1] < 0.04


@pytest.mark.parametrize("method", MIXTURES)
def test_evaluation_has_no_noise(method):
    model, lr = network(method), image(1, 3, 6, 6)
    with torch.no_grad():
        first, second = (model.encode(lr).routing.gates for _ in range(2))
    assert torch.equal(first, second)
    assert torch.allclose(first.sum(dim=-1), torch.ones(first.shape[:2]), atol=1e-5)


@pytest.mark.parametrize("method", MIXTURES)
def test_gradients_reach_the_mapper_and_every_expert(method):
    model = network(method).train()
    model.encoder.eval()  # a path that is dropped for the one image has no gradient
    features = model.encode(image(1, 3, 6, 6))
    l1 = model.decode(features, *queries((12, 12))).abs().mean()
    moeisr_loss(l1, features.routing.probabilities).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    alone = network(method).train()
    alone.encoder.eval()
    features = alone.encode(image(1, 3, 6, 6))
    alone.decode(features, *queries((12, 12))).abs().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in alone.head.mapper.parameters() if p.dim() > 1)


# Two images of two LR pixels and two experts. Their sums over pixels are (1.5, 0.5) and
# (0.25, 1.75); a balanced image has (1, 1), a balanced batch (2, 2).
D = torch.tensor([[[0.9, 0.1], [0.6, 0.4]], [[0.25, 0.75], [0.0, 1.0]]])
BALANCE = [
    # |1.75 - 2| + |2.25 - 2| over two images
    ("batch", None, 0.5 / 2),
    # |1.5 - 1| + |0.5 - 1| = 1, |0.25 - 1| + |1.75 - 1| = 1.5
    ("image", None, 2.5 / 2),
    # |2 * 1.75 - 2| + |0.5 * 2.25 - 2| = 1.5 + 0.875
    ("batch", (2.0, 0.5), 2.375 / 2),
    # |3 - 1| + |0.25 - 1| = 2.75, |0.5 - 1| + |0.875 - 1| = 0.625
    ("image", (2.0, 0.5), 3.375 / 2),
]


@pytest.mark.parametrize(("unit", "weights", "expected"), BALANCE)
def test_balance_loss_by_hand(unit, weights, expected):
    assert balance_loss(D, weights, unit).item() == pytest.approx(expected)
    l1 = torch.tensor(0.02)
    assert moeisr_loss(l1, D, weights=weights, unit=unit).item() == pytest.approx(60 + expected)
    assert moeisr_loss(l1, D, 10, 2, weights, unit).item() == pytest.approx(0.2 + 2 * expected)


def test_the_batch_size_does_not_change_what_beta_means():
    for unit in ("batch", "image"):
        one, three = (balance_loss(D[:1].repeat(n, 1, 1), None, unit).item() for n in (1, 3))
        assert one == pytest.approx(three)


def test_balance_weights_are_as_many_as_experts():
    with pytest.raises(ValueError, match="3 balance weights for 2 experts"):
        balance_loss(D, (1, 1, 1))


def test_built_networks_have_the_sizes_that_were_asked_for():
    model = build("edsr-moeisr-liif-s", encoder=ENCODER, decoder=DECODER)
    assert len(model.encoder.body) == ENCODER["blocks"] + 1
    assert model.encoder.out_channels == ENCODER["features"]
    assert {m.out_features for m in model.head.experts.modules() if isinstance(m, nn.Linear)} == {
        DECODER["width"] // 2,
        3,
    }


@pytest.mark.parametrize(("scale", "factor"), [(2, 1), (4, 1), (6, 1.5), (30, 7.5)])
def test_lte_keeps_the_cell_of_x4_at_larger_scales(scale, factor):
    """LTE's test.py multiplies the cell by max(scale / 4, 1); LIIF's leaves it."""
    assert network("edsr-lte").cell_stretch(scale) == factor
    assert network("edsr-liif").cell_stretch(scale) == 1
