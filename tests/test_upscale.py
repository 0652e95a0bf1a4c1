"""`harness upscale` on several files, to a size, and beside the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import network

from harness.upscale.batch import Factor, files_of
from harness.upscale.network import upscale

BICUBIC = ("--method", "bicubic")


def photo(path: str, size: tuple[int, int] = (9, 6)) -> Path:
    """A file with a picture of (width, height)."""
    rng = np.random.default_rng(len(path))
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(place)
    return place


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_without_a_name_the_result_lies_beside_the_image(harness):
    photo("a.png")
    out = harness.good("upscale", "a.png", "--scale", 3.5, *BICUBIC)
    assert out.startswith("a_x3.5.png: 32x21 by bicubic")
    assert size_of("a_x3.5.png") == (32, 21)
    harness.good("upscale", "a.png", "--size", "20x40", *BICUBIC)
    assert size_of("a_20x40.png") == (20, 40)
    for sides in ("w20xh50", "h50xw20"):
        out = harness.good("upscale", "a.png", "--size", sides, *BICUBIC, "--force")
        assert out.startswith("a_20x50.png: 20x50 (width x height) by bicubic")
        assert size_of("a_20x50.png") == (20, 50)


def test_a_type_that_cannot_be_written_becomes_png(harness):
    photo("a.gif")
    harness.good("upscale", "a.gif", "--scale", 2, *BICUBIC)
    assert size_of("a_x2.png") == (18, 12)


def test_several_files_folders_and_patterns(harness):
    photo("in/a.png")
    photo("in/b.jpg", (4, 4))
    Path("in/notes.txt").write_text("no image")
    photo("c.png")
    out = harness.good("upscale", "in", "c.png", "out", "--scale", 2, *BICUBIC)
    assert "3 of 3 images written, 0 left out." in out
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.jpg", "c.png"]
    assert size_of("out/b.jpg") == (8, 8)
    out = harness.good("upscale", "in/*.png", "c.png", "more", "--size", "20x20", *BICUBIC)
    assert "2 of 2 images" in out
    assert size_of("more/a.png") == (20, 20)


def test_a_batch_goes_on(harness):
    """What is there is refused, replaced or left out; a bad file does not stop the others."""
    photo("in/a.png")
    photo("in/b.png")
    Path("in/c.png").write_bytes(b"no image")
    status, out, err = harness("upscale", "in", "out", "--scale", 2, *BICUBIC)
    assert status == 1
    assert "2 of 3 images written" in out
    assert "in/c.png: " in err
    assert "1 of 3 images could not be enlarged" in err
    status, _, err = harness("upscale", "in", "out", "--scale", 2, *BICUBIC)
    assert (status, "a.png is there already" in err) == (1, True)
    Path("out/b.png").unlink()
    status, out, _ = harness("upscale", "in", "out", "--scale", 2, *BICUBIC, "--skip-existing")
    assert "1 of 3 images written, 1 left out." in out
    assert status == 1
    again = harness("upscale", "in", "out", "--scale", 2, *BICUBIC, "--force")[1]
    assert "2 of 3 images written" in again


MISTAKES = {
    "neither": (("a.png", "b.png"), 2, "--scale or --size"),
    "both": (("a.png", "b.png", "--scale", 2, "--size", "20x20"), 2, "--scale or --size"),
    "size": (("a.png", "b.png", "--size", "20"), 2, "no WIDTHxHEIGHT"),
    "zero": (("a.png", "b.png", "--size", "0x20"), 2, "at least one pixel"),
    "smaller": (("a.png", "b.png", "--size", "8x20"), 2, "9x6 pixels, which is more than 8x20"),
    "no-folder": (("in", "--scale", 2), 2, "name it last"),
    "file": (("a.png", "c.png", "b.txt", "--scale", 2), 1, "Name a folder"),
    "empty": (("nothing", "out", "--scale", 2), 1, "no image in nothing"),
    "pattern": (("*.tif", "out", "--scale", 2), 1, "no image in *.tif"),
    "one-name": (("a.png", "in/a.png", "out", "--scale", 2), 1, "Several images"),
    "none": (("--scale", 2), 2, "IN"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, harness):
    photo("a.png")
    photo("c.png")
    photo("in/a.png")
    photo("in/b.png")
    Path("nothing").mkdir()
    Path("b.txt").write_text("")
    given, status, text = MISTAKES[name]
    before = sorted(Path().rglob("*"))
    found, _, err = (
        harness("upscale", *given, *BICUBIC) if given else harness("upscale", "--scale", 2)
    )
    assert found == status
    assert text in err
    assert sorted(Path().rglob("*")) == before


def test_two_factors_of_an_image(tmp_path):
    """Each side by its own; the pixels are those that queries of that grid have."""
    model, lr = network("edsr-liif"), torch.rand(1, 3, 6, 9)
    made = upscale(model, lr, 2.5, (18, 20)).image
    assert made.shape[-2:] == (18, 20)
    whole = upscale(model, lr, 3, (18, 27)).image
    assert made.shape != whole.shape


def test_a_size_is_for_networks_of_any_factor(harness):
    photo("a.png")
    from test_multiscale import saved

    path = saved("edsr-x2", encoder={"blocks": 1, "features": 4})
    command = ("upscale", "a.png", "b.png", "--checkpoint", path)
    harness.good(*command, "--size", "18x12")
    assert size_of("b.png") == (18, 12)
    for size in ("18x13", "36x6", "27x18"):
        status, _, err = harness(*command, "--size", size, "--force")
        assert status == 2
        assert "enlarges" in err


def test_names():
    assert files_of([Path("a.bmp")], None, Factor(2.0)) == [(Path("a.bmp"), Path("a_x2.bmp"))]
    assert files_of([Path("a.png")], Path("b.png"), Factor(2.0)) == [(Path("a.png"), Path("b.png"))]
