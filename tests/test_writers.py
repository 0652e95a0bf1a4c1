"""Image files written strip by strip hold what files written as a whole held."""

from __future__ import annotations

import io
import random
import re
import struct
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import IFDRational
from tiny import network, photo, start

from baselines.resize import Resize, imresize
from harness.checkpoints.subject import Subject
from harness.common.errors import HarnessError
from harness.common.files import write_text
from harness.data.degrade import quantise, read_mark, unit
from harness.data.images import image_size, open_image, to_image, to_tensor
from harness.profiles import Evaluation
from harness.upscale.enlarge import begin, enlarge_file, enlarged_rows
from harness.upscale.image_files import Source, layout_for, open_source
from harness.upscale.image_files import _dpi as dpi_of
from harness.upscale.network import upscale
from harness.upscale.writers import (
    LONGEST_SIDE,
    MOST_PIXELS,
    STREAMED,
    Layout,
    Metadata,
    Rows,
    tiff,
    write_rows,
)
from harness.upscale.writers.layout import CHANNELS
from harness.upscale.writers.png import write_png

SUFFIXES = {"PNG": ".png", "TIFF": ".tif"}
CPU = torch.device("cpu")


def noise(height: int, width: int, channels: int, seed: int = 0, bits: int = 8) -> Rows:
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bits, (height, width, channels), dtype=dtype)


def in_strips(image: Rows, rows: int) -> Iterator[Rows]:
    return (image[top : top + rows] for top in range(0, len(image), rows))


def read(path: Path, mode: str) -> Rows:
    with Image.open(path) as image:
        assert image.mode == mode
        return np.asarray(image).reshape(image.height, image.width, -1)


@pytest.mark.parametrize("kind", STREAMED)
@pytest.mark.parametrize("mode", CHANNELS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 1), (40, 70), (300, 800)])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_pillow_reads_what_was_written(rows, size, mode, kind, tmp_path):
    image = noise(*size, CHANNELS[mode])
    path = tmp_path / "image"
    write_rows(path, Layout(size, mode, kind=kind), in_strips(image, rows))
    assert np.array_equal(read(path, mode), image)


def plain_png(path: Path) -> Rows:
    """16-bit values of a PNG file, by the specification and one at a time."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, bits, colour = struct.unpack(">IIBB", body[:10])
        packed += body if kind == b"IDAT" else b""
        at += size + 12
    assert bits == 16
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    step = 2 * channels
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * step)
    assert (rows[:, 0] == 4).all(), "another filter than Paeth's"
    out = np.zeros((height + 1, step * (width + 1)), int)
    for y, x in np.ndindex(height, width * step):
        left, up, corner = out[y + 1, x], out[y, x + step], out[y, x]
        nearest = np.abs([up - corner, left - corner, left + up - 2 * corner]).argmin()
        out[y + 1, x + step] = (rows[y, 1 + x] + (left, up, corner)[nearest]) % 256
    values = out[1:, step:].reshape(height, width, channels, 2)
    return (values[..., 0] * 256 + values[..., 1]).astype(np.uint16)


def seen_in(path: Path) -> Rows:
    """(h, w, channels) values that `upscale` reads; grey as three equal channels."""
    found = open_source(path)
    planes = [found.rgb] if found.alpha is None else [found.rgb, found.alpha]
    return np.concatenate([plane.numpy() for plane in planes]).transpose(1, 2, 0)


AS_COLOUR = {"L": [0, 0, 0], "LA": [0, 0, 0, 1], "RGB": [0, 1, 2], "RGBA": [0, 1, 2, 3]}


@pytest.mark.parametrize("kind", STREAMED)
@pytest.mark.parametrize("mode", CHANNELS)
@pytest.mark.parametrize("rows", [3, 1000])
def test_sixteen_bits_by_other_readers(rows, mode, kind, tmp_path):
    image = noise(12, 7, CHANNELS[mode], bits=16)
    path = tmp_path / "image"
    write_rows(path, Layout((12, 7), mode, 16, kind=kind), in_strips(image, rows))
    found = plain_png(path) if kind == "PNG" else tifffile.imread(path)
    assert np.array_equal(found.reshape(image.shape), image)
    if (kind, mode) != ("TIFF", "LA"):  # which Pillow does not read
        assert np.array_equal(seen_in(path), image[..., AS_COLOUR[mode]])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packed", [None, "zlib"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_sixteen_bits_of_other_writers(tile, mode, packed, order, tmp_path):
    image = noise(21, 18, CHANNELS[mode], bits=16)
    options = {"extrasamples": ["unassalpha"]} if mode == "RGBA" else {}
    options["photometric"] = "minisblack" if mode == "L" else "rgb"
    stored = image[..., 0] if mode == "L" else image
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, stored, compression=packed, byteorder=order, tile=tile, **options)
    assert np.array_equal(seen_in(path), image[..., AS_COLOUR[mode]])


def test_white_may_be_zero(tmp_path):
    image = noise(5, 6, 1, bits=16)
    tifffile.imwrite(tmp_path / "image.tif", image[..., 0], photometric="miniswhite")
    assert np.array_equal(seen_in(tmp_path / "image.tif"), 65535 - image[..., AS_COLOUR["L"]])


def test_a_colour_that_stands_for_transparency(tmp_path):
    """A tRNS chunk of 16-bit values."""
    image = noise(5, 6, 3, bits=16)
    write_rows(tmp_path / "a.png", Layout((5, 6), "RGB", 16, kind="PNG"), [image])
    body = b"tRNS" + image[2, 3].astype(">u2").tobytes()
    chunk = struct.pack(">I", 6) + body + struct.pack(">I", zlib.crc32(body))
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(data[:33] + chunk + data[33:])
    opacity = np.full((5, 6, 1), 65535, np.uint16)
    opacity[2, 3] = 0
    assert np.array_equal(seen_in(tmp_path / "b.png"), np.concatenate([image, opacity], axis=2))


@pytest.mark.parametrize(
    "options", [{"planarconfig": "separate"}, {"extrasamples": ["assocalpha"]}]
)
def test_sixteen_bits_that_pillow_does_not_read_are_refused(options, tmp_path):
    image = noise(5, 6, 4 if "extrasamples" in options else 3, bits=16)
    stored = image if "extrasamples" in options else image.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "image.tif", stored, photometric="rgb", **options)
    with pytest.raises(HarnessError, match="8-bit images"):
        open_source(tmp_path / "image.tif")


@settings(deadline=None, max_examples=50)
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    mode=st.sampled_from(list(CHANNELS)),
    values=st.sampled_from([(0, 256), (0, 2), (254, 256), (127, 130)]),
    cuts=st.lists(st.integers(1, 4), max_size=12),
    seed=st.integers(0, 99),
)
def test_any_strips_make_the_same_png(size, mode, values, cuts, seed):
    shape = (*size, CHANNELS[mode])
    image = np.random.default_rng(seed).integers(*values, shape).astype(np.uint8)
    tops = np.clip(np.cumsum([0, *cuts]), 0, size[0])
    strips = [image[a:b] for a, b in zip(tops, [*tops[1:], size[0]], strict=True)]
    file = io.BytesIO()
    write_png(file, Layout(size, mode), strips)
    assert np.array_equal(np.asarray(Image.open(file)).reshape(shape), image)


@pytest.mark.parametrize("kind", STREAMED)
def test_the_colour_profile_is_kept(kind, tmp_path):
    profile = bytes(range(256)) * 3
    image = noise(5, 6, 3)
    write_rows(
        tmp_path / "image", Layout((5, 6), "RGB", metadata=Metadata(profile), kind=kind), [image]
    )
    assert Image.open(tmp_path / "image").info["icc_profile"] == profile


def test_tiff_beyond_its_offsets_becomes_bigtiff(tmp_path, monkeypatch):
    image = noise(50, 60, 3)
    monkeypatch.setattr(tiff, "_BIG", 1000)
    write_rows(tmp_path / "image", Layout((50, 60), "RGB", kind="TIFF"), in_strips(image, 7))
    assert (tmp_path / "image").read_bytes()[2] == 43
    assert np.array_equal(read(tmp_path / "image", "RGB"), image)


@pytest.mark.parametrize("kind", [*STREAMED, "BMP"])
@pytest.mark.parametrize(
    "strips",
    [[noise(3, 4, 3)], [noise(5, 4, 3)], [noise(4, 3, 3)], [noise(4, 4, 1)], []],
    ids=["few", "many", "narrow", "grey", "none"],
)
def test_rows_that_do_not_make_up_the_image_are_refused(strips, kind, tmp_path):
    with pytest.raises(ValueError, match=r"image|fit"):
        write_rows(tmp_path / "image", Layout((4, 4), "RGB", kind=kind), strips)


@pytest.mark.parametrize("kind", STREAMED)
@pytest.mark.parametrize("bits", [8, 16])
def test_an_image_is_not_held_while_it_is_written(bits, kind, tmp_path):
    side, strip = 32000 // bits, noise(20, 32000 // bits, 3, bits=bits)
    write_rows(tmp_path / "warm", Layout((20, side), "RGB", bits, kind=kind), [strip])
    tracemalloc.start()
    strips = (strip for _ in range(side // 20))
    write_rows(tmp_path / "image", Layout((side, side), "RGB", bits, kind=kind), strips)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20 < side * side * 3


# Resizing in parts


def test_sixteen_bits_are_resized_as_eight_are():
    """257 times the result of 8 bits, but for the rounding after each axis (half a step each)."""
    image = torch.from_numpy(noise(3, 20, 17))
    wide = (image.int() * 257).to(torch.uint16)
    deep = imresize(wide, (33, 26))
    assert deep.dtype == torch.uint16
    assert (deep.int() - imresize(image, (33, 26)).int() * 257).abs().max() < 300
    assert len(deep.int().remainder(257).unique()) > 100
    parts = [Resize(wide, (33, 26)).rows(n, n + 1) for n in range(33)]
    assert torch.equal(torch.cat(parts, dim=1).int(), deep.int())


@pytest.mark.parametrize(("h", "w"), [(9, 7), (40, 30)])
@pytest.mark.parametrize("size", [(33, 26), (33, 20), (5, 3), (4, 6), (270, 210), (40, 30)])
def test_rows_of_a_resized_image_by_themselves(size, h, w):
    image = torch.from_numpy(noise(3, h, w))
    whole = imresize(image, size)
    for step in (1, 4, size[0]):
        resize = Resize(image, size)
        resize.step = 3
        parts = [resize.rows(top, min(top + step, size[0])) for top in range(0, size[0], step)]
        assert torch.equal(torch.cat(parts, dim=1), whole)


# Enlarging


def subject(method: str) -> Subject:
    return Subject(method, network(method), CPU)


BICUBIC = "bicubic"
METHODS = ["edsr-liif", "edsr-moeisr-lte-s", "swinir-metasr", BICUBIC]
CASES = [("edsr-x3", 3), *((method, scale) for method in METHODS for scale in (3, 30))]


def source(mode: str, height: int = 9, width: int = 7) -> Source:
    alpha = photo(height, width, seed=1).convert("L") if mode.endswith("A") else None
    grey = mode.startswith("L")
    rgb = to_tensor(photo(height, width).convert("L" if grey else "RGB").convert("RGB"))
    metadata = Metadata(None if grey else b"a profile")
    return Source(rgb, None if alpha is None else to_tensor(alpha), grey, metadata)


def as_a_whole(model: torch.nn.Module, image: Source, scale: float) -> Image.Image:
    """What was written before there were strips."""
    made = quantise(upscale(model, unit(image.rgb)[None], scale).image[0])
    result = to_image(made)
    if image.grey:
        result = result.convert("L")
    if image.alpha is not None:
        size = (result.height, result.width)
        result.putalpha(to_image(imresize(image.alpha, size)))
    return result


def subject_of(method: str) -> Subject:
    if method != BICUBIC:
        return subject(method)
    from baselines import build

    return Subject(method, build(method).eval(), CPU)


@pytest.mark.parametrize("kind", STREAMED)
@pytest.mark.parametrize("mode", CHANNELS)
@pytest.mark.parametrize(("method", "scale"), CASES)
def test_strips_are_the_rows_of_the_whole(method, scale, mode, kind, tmp_path):
    image, chosen = source(mode), subject_of(method)
    path = tmp_path / f"out{SUFFIXES[kind]}"
    # 1 MiB: bands of a single row of latent codes.
    layout = layout_for(path, image, scale)
    enlarge_file(chosen, image, scale, layout, Evaluation(memory_mib=1), path)
    expected = as_a_whole(chosen.model, image, scale)
    with Image.open(path) as found:
        assert (found.mode, found.size) == (expected.mode, expected.size)
        assert layout.size == (found.height, found.width)
        assert np.array_equal(np.asarray(found), np.asarray(expected))
        assert found.info.get("icc_profile") == image.metadata.icc_profile
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_large_images_come_in_many_strips():
    image = source("RGBA", 24, 20)
    for method in ("edsr-lte", BICUBIC):
        layout = layout_for(Path("out.png"), image, 30)
        made = begin(subject_of(method), image, 30, layout, Evaluation(memory_mib=1))
        strips = list(enlarged_rows(made, image, layout))
        assert max(len(strip) for strip in strips) < 150
        assert sum(len(strip) for strip in strips) == 720


@pytest.mark.parametrize("kind", [*STREAMED, "BMP"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
def test_nothing_is_left_of_half_a_file(error, kind, tmp_path, monkeypatch):
    def failing(*_: object) -> Iterator[Rows]:
        yield noise(3, 21, 3)
        raise error

    monkeypatch.setattr("harness.upscale.enlarge.enlarged_rows", failing)
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    with pytest.raises(HarnessError if error is OSError else error):
        layout = Layout((27, 21), "RGB", kind=kind)
        enlarge_file(subject_of(BICUBIC), source("RGB"), 3, layout, Evaluation(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]
    assert path.read_bytes() == b"old"


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
from harness.commands import main
main()
"""


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_full_disk_leaves_nothing(suffix, tmp_path):
    Image.fromarray(noise(60, 60, 3)).save(tmp_path / "in.png")
    command = ("upscale", "in.png", f"out{suffix}", "--scale", "12", "--method", BICUBIC)
    running = start(*command, code=FULL)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 1
    assert f"Cannot write out{suffix}" in err
    assert [p.name for p in tmp_path.iterdir()] == ["in.png"]


# Types that need the whole image


def test_other_types_are_put_together(tmp_path):
    image = noise(30, 20, 3)
    write_rows(tmp_path / "image", Layout((30, 20), "RGB", kind="BMP"), in_strips(image, 7))
    assert np.array_equal(read(tmp_path / "image", "RGB"), image)


@pytest.mark.parametrize(
    ("name", "size", "scale", "said"),
    [
        ("o.jpg", (1, 2400), 30, f"{LONGEST_SIDE['JPEG']:,}"),
        ("o.webp", (600, 1), 30, f"{LONGEST_SIDE['WEBP']:,}"),
        ("o.bmp", (400, 400), 30, f"{MOST_PIXELS:,}"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_work(name, size, scale, said, tmp_path):
    with pytest.raises(HarnessError, match=said) as refused:
        layout_for(tmp_path / name, source("RGB", *size), scale)
    assert ".png or .tif" in str(refused.value)
    for streamed in ("o.png", "o.tif"):
        layout_for(tmp_path / streamed, source("RGB", *size), scale)


def test_the_layout_follows_the_source():
    assert layout_for(Path("a.png"), source("LA"), 2.5) == Layout((22, 18), "LA")
    profile = Metadata(b"a profile")
    found = layout_for(Path("a.jpg"), source("RGB"), 2.5)
    assert found == Layout((22, 18), "RGB", 8, profile, "JPEG")


def test_the_memory_of_a_band_can_be_given(tmp_path, harness):
    photo(8, 9).save("in.png")
    for i, memory in enumerate([(), ("--memory", 1)]):
        harness.good("upscale", "in.png", f"{i}.png", "--scale", 3, "--method", BICUBIC, *memory)
    assert Path("0.png").read_bytes() == Path("1.png").read_bytes()
    status, _, err = harness("upscale", "in.png", "o.png", "--scale", 3, "--memory", 0)
    assert (status, "--memory" in err) == (2, True)


def test_a_result_too_large_to_read_again_is_refused_in_words(harness, monkeypatch):
    photo(8, 9).save("in.png")
    harness.good("upscale", "in.png", "large.png", "--scale", 4, "--method", BICUBIC)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    command = ("upscale", "large.png", "o.png", "--scale", 2, "--method", BICUBIC)
    status, _, err = harness(*command)
    assert (status, "too large to open" in err, "Cut it into parts" in err) == (1, True, True)


def test_a_termination_leaves_nothing(tmp_path):
    """As Ctrl-C: no hidden part of a large file stays behind."""
    Image.fromarray(noise(300, 300, 3)).save(tmp_path / "in.png")
    running = start("upscale", "in.png", "out.png", "--scale", "30", "--method", BICUBIC)
    while len(list(tmp_path.iterdir())) < 2 and running.poll() is None:
        time.sleep(0.02)
    running.terminate()
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "out.png was not written" in err
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


@pytest.mark.parametrize("suffix", [".ico", ".xbm", ".gif"])
def test_types_that_hold_no_picture_are_refused_at_once(suffix, harness):
    Image.fromarray(noise(6, 6, 3)).save("in.png")
    command = ("upscale", "in.png", f"out{suffix}", "--scale", 2, "--method", BICUBIC)
    status, _, err = harness(*command)
    assert status == 1
    assert "no suffix of an image type" in err
    assert not Path(f"out{suffix}").exists()


def test_the_target_of_a_link_is_replaced(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


# Metadata

UPSCALE = ("--scale", 2, "--method", BICUBIC)
MADE = "2001:02:03 04:05:06"
ORIENTATION, MAKE, CAMERA, GPS, DATE, WIDTH = 0x0112, 0x010F, 0x8769, 0x8825, 0x9003, 0xA002


def exif(orientation: int = 1) -> bytes:
    made = Image.Exif()
    made[ORIENTATION], made[MAKE] = orientation, "Maker"
    made[CAMERA] = {DATE: MADE, WIDTH: 10, 0x829A: IFDRational(1, 125)}
    made[GPS] = {1: "N", 2: (52.0, 30.0, 0.5)}
    return made.tobytes()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("source", [".png", ".tif", ".jpg", ".webp"])
def test_camera_date_place_and_print_size_are_kept(source, suffix, harness):
    """And the orientation is that of the pixels, which are turned."""
    profile = bytes(range(100))
    photo(6, 10).save(f"in{source}", exif=exif(6), dpi=(300, 300), icc_profile=profile)
    harness.good("upscale", f"in{source}", f"out{suffix}", *UPSCALE)
    with Image.open(f"out{suffix}") as made:
        found = made.getexif()
        assert made.size == (12, 20)
        assert ORIENTATION not in found
        assert found[MAKE] == "Maker"
        camera, place = found.get_ifd(CAMERA), found.get_ifd(GPS)
        assert (camera[DATE], float(camera[0x829A])) == (MADE, 1 / 125)
        assert WIDTH not in camera, "it was that of the old pixels"
        assert tuple(map(float, place[2])) == (52, 30, 0.5)
        assert made.info["icc_profile"] == profile
        if ".webp" not in (source, suffix):  # which have no place for it but EXIF
            assert made.info["dpi"] == pytest.approx((300, 300), abs=0.02)


def test_tags_reach_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "_BIG", 1000)
    image, metadata = noise(50, 60, 3), Metadata(b"profile", exif(), (72.5, 300))
    path = tmp_path / "image.tif"
    write_rows(path, Layout((50, 60), "RGB", 8, metadata, kind="TIFF"), in_strips(image, 7))
    assert path.read_bytes()[2] == 43
    with Image.open(path) as made:
        assert made.getexif().get_ifd(CAMERA)[DATE] == MADE
        assert (made.info["dpi"], made.info["icc_profile"]) == ((72.5, 300), b"profile")
        assert np.array_equal(np.asarray(made), image)
    with tifffile.TiffFile(path) as read:
        assert read.pages[0].tags["ExifTag"].value["DateTimeOriginal"] == MADE
        assert np.array_equal(read.asarray(), image)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_an_image_is_seen_upright(suffix, orientation, tmp_path):
    path = tmp_path / f"in{suffix}"
    photo(6, 10).save(path, exif=exif(orientation))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(seen_in(path), expected)


def test_plain_files_of_the_grey_kind_are_seen_upright(tmp_path):
    image = noise(6, 10, 1)
    tags = [(ORIENTATION, "H", 1, 6, True)]
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, image[..., 0], photometric="minisblack", extratags=tags)
    assert np.array_equal(seen_in(path), np.rot90(image[..., AS_COLOUR["L"]], -1))


@pytest.mark.parametrize("kind", STREAMED)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_sixteen_bits_are_seen_upright(mode, kind, tmp_path):
    """Turned by a quarter."""
    image, path = noise(6, 10, CHANNELS[mode], bits=16), tmp_path / "image"
    if kind == "PNG":
        turned = Metadata(exif=exif(6))
        write_rows(path, Layout((6, 10), mode, 16, turned, kind=kind), [image])
    else:
        tags = [(ORIENTATION, "H", 1, 6, True)]
        photometric = "minisblack" if mode == "L" else "rgb"
        tifffile.imwrite(path, image.squeeze(), photometric=photometric, extratags=tags)
    assert np.array_equal(seen_in(path), np.rot90(image[..., AS_COLOUR[mode]], -1))


def damage(data: bytes, rng: random.Random, first: int) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        changed[rng.randrange(first, len(data))] = rng.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_damaged_exif_costs_the_exif_alone(suffix, tmp_path, capsys):
    rng, path, said = random.Random(0), tmp_path / f"in{suffix}", 0
    for _ in range(100):
        photo(6, 10).save(path, exif=damage(exif(3), rng, 6))
        found = open_source(path)
        assert tuple(found.rgb.shape[1:]) in ((6, 10), (10, 6))
        Image.Exif().load(found.metadata.exif or b"")
        said += "is damaged and left out" in capsys.readouterr().err
    assert said


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_damaged_image_is_read_or_refused_in_words(suffix, tmp_path):
    """Whatever Pillow raises: bytes are changed anywhere behind the first eight."""
    rng, path, refused = random.Random(1), tmp_path / f"in{suffix}", 0
    photo(6, 10).save(path, exif=exif(3), dpi=(300, 300))
    good = path.read_bytes()
    for _ in range(150):
        path.write_bytes(damage(good, rng, 8))
        try:
            open_source(path)
        except HarnessError:
            refused += 1
    assert refused


def test_any_trouble_of_pillow_is_a_damaged_file(tmp_path, monkeypatch):
    """Such as RuntimeError, of AVIF data."""
    path = tmp_path / "in.png"
    photo(6, 10).save(path)

    def fail(*_: object) -> None:
        raise RuntimeError("Failed to decode image")

    monkeypatch.setattr(Image, "open", fail)
    for read_file in (open_source, open_image, image_size):
        with pytest.raises(HarnessError, match="cannot be read as an image: Failed"):
            read_file(path)
    assert read_mark(path) is None


@pytest.mark.parametrize("dpi", [None, 3, (0, 0), (1e9, 1e9), (float("nan"), 300), (1, 0.2)])
def test_a_print_size_that_no_file_can_hold_is_left_out(dpi):
    assert dpi_of(dpi) is None


# Manners


def test_success_is_one_line(harness):
    photo(6, 10).save("in.png")
    out = harness.good("upscale", "in.png", "out.png", *UPSCALE)
    assert re.fullmatch(r"out\.png: 20x12 by bicubic in \d+\.\d s\n", out)
    out = harness.good("upscale", "in.png", "out.png", *UPSCALE, "--force", "--verbose")
    assert "nothing is trained" in out


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "JPEG"), (".webp", "WEBP")])
def test_lossy_types_lose_little_unless_told(suffix, kind, harness):
    photo(60, 80).save("in.png")
    harness.good("upscale", "in.png", "out.png", *UPSCALE)
    for option, quality in [((), 95), (("--quality", 30), 30)]:
        harness.good("upscale", "in.png", f"out{suffix}", *UPSCALE, "--force", *option)
        expected = io.BytesIO()
        Image.open("out.png").save(expected, kind, quality=quality)
        assert Path(f"out{suffix}").read_bytes() == expected.getvalue()
    status, _, err = harness("upscale", "in.png", "o.png", *UPSCALE, "--quality", 90)
    assert (status, "PNG files lose nothing" in err) == (2, True)


@pytest.mark.parametrize("kind", STREAMED)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_sixteen_bits_stay_sixteen(mode, kind, harness):
    """Nothing is lost at x1; networks and bicubic use all bits above."""
    image = noise(9, 8, CHANNELS[mode], bits=16)
    write_rows(Path("in.png"), Layout((9, 8), mode, 16, kind="PNG"), [image])
    target = Path(f"out{SUFFIXES[kind]}")
    harness.good("upscale", "in.png", target, "--scale", 1, "--method", BICUBIC)
    assert np.array_equal(seen_in(target), image[..., AS_COLOUR[mode]])
    opened = open_source(Path("in.png"))
    for method in (BICUBIC, "edsr-liif"):
        layout = layout_for(target, opened, 2.5)
        enlarge_file(subject_of(method), opened, 2.5, layout, Evaluation(memory_mib=1), target)
        found = seen_in(target)
        assert found.dtype == np.uint16
        assert len(np.unique(found % 257)) > 100
        if method == BICUBIC:
            expected = unit(imresize(opened.rgb, (22, 20)))
        else:
            expected = upscale(subject_of(method).model, unit(opened.rgb)[None], 2.5).image[0]
        if mode != "L":
            expected = expected.clamp(0, 1).permute(1, 2, 0).numpy()
            assert np.abs(found[..., :3] / 65535 - expected).max() < 1e-5


def test_sixteen_bits_in_a_type_of_eight_are_said_to_be_lost(harness):
    image = noise(9, 8, 3, bits=16)
    write_rows(Path("in.png"), Layout((9, 8), "RGB", 16, kind="PNG"), [image])
    out = harness.good("upscale", "in.png", "out.bmp", "--scale", 1, "--method", BICUBIC)
    assert "BMP files have 8 bits per channel" in out
    assert np.abs(read(Path("out.bmp"), "RGB") - image / 257).max() <= 0.5
