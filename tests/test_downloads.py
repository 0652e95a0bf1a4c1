"""`harness data fetch`: downloads that are cut, files that are wrong, archives that are hostile."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import os
import random
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
import urllib3
from archives_for_tests import (
    HR,
    X2,
    archive_of,
    png,
    serving,
    set5_files,
    write_tar,
    write_zip,
)
from filelock import FileLock
from PIL import Image
from tiny import files_below

from harness.common import locks
from harness.common.errors import HarnessError
from harness.data import download, sets, unpack
from harness.data import fetch as fetching
from harness.data.sets import SPECS, find
from harness.data.sets.base import Archive

EXPECTED = {name: content for name, content in set5_files().items() if name.endswith(".png")}
EXPECTED.pop(f"{HR}/._baby.png")


def publish(monkeypatch: pytest.MonkeyPatch, archive: Archive) -> None:
    """Make an archive the only one that is known."""
    monkeypatch.setattr(sets, "archives", lambda: [archive])


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def tar(tmp_path):
    return write_tar(tmp_path / "benchmark.tar", set5_files())


@pytest.fixture
def server(tar, monkeypatch):
    """A server with the archive, which the harness believes to be the published one."""
    monkeypatch.setattr(download, "_CHUNK", 1024)
    monkeypatch.setattr(download, "sleep", lambda _: None)
    with serving(tar.read_bytes()) as running:
        publish(monkeypatch, archive_of(tar, running.url))
        yield running


@pytest.fixture
def fetch(root, server, harness):
    return lambda *options: harness("data", "fetch", "Set5", "--data-root", root, *options)


def images(root: Path) -> dict[str, bytes]:
    """Every file below the root but downloads."""
    return {name: content for name, content in files_below(root).items() if name[0] != "."}


def write_some(root: Path, count: int) -> dict[str, bytes]:
    """The first images of each folder of the set."""
    names = [name for folder in (HR, X2) for name in sorted(EXPECTED) if folder in name]
    some = {name: EXPECTED[name] for n, name in enumerate(names) if n % 5 < count}
    for name, content in some.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return some


def assert_failed(result, root, *parts):
    """One message, and nothing visible."""
    status, out, err = result
    assert (status, out) == (1, ""), err
    for part in parts:
        assert part in err, err
    assert err.count("Error: ") == 1
    assert "Traceback" not in err
    assert not (root / "benchmark").exists()


# Records


def test_every_record_is_whole():
    places = [place for archive in sets.archives() for place in archive.folders]
    assert len(places) == len(set(places))
    for archive in sets.archives():
        assert (len(archive.sha256), archive.url.startswith("https://")) == (64, True)
        assert archive.hash_source
        assert archive.size > 10**7


@pytest.mark.parametrize("name", [n for n, spec in SPECS.items() if spec.layout and spec.archives])
def test_every_dataset_of_files_can_be_fetched_hr_last(name, tmp_path):
    layout = SPECS[name].layout
    lr = [layout.lr.format(scale=s) for s in (2, 3, 4)] if layout.lr else []
    assert list(fetching._missing([name], tmp_path)) == [*lr, layout.hr]
    known = [
        place
        for archive in sets.archives()
        for place in archive.folders
        if place in (*lr, layout.hr)
    ]
    assert known == [*lr, layout.hr]


# Good downloads


def test_fetch(fetch, root, server):
    status, out, err = fetch()
    assert status == 0, err
    assert out.split() == [str(root / X2), str(root / HR)]
    assert files_below(root) == EXPECTED
    status, out, _ = fetch()
    assert "Complete already: Set5" in out
    assert len(server.asked) == 1


def test_an_archive_is_kept_when_asked(fetch, root, tar):
    assert fetch("--keep-archive")[0] == 0
    assert (root / fetching.CACHE / "benchmark.tar").read_bytes() == tar.read_bytes()


@pytest.mark.parametrize("start", ["folder", "file", "url", "file-url", "base-url"])
def test_mirrors(start, fetch, root, tar, server, monkeypatch):
    publish(monkeypatch, archive_of(tar))
    mirrors = {
        "folder": tar.parent,
        "file": tar,
        "url": f"{server.url}/benchmark.tar",
        "file-url": tar.as_uri(),
        "base-url": f"{server.url}/",
    }
    before = tar.read_bytes()
    assert fetch("--mirror", mirrors[start])[0] == 0
    assert files_below(root) == EXPECTED
    assert tar.read_bytes() == before, "a local mirror is only read"


def test_a_zip_archive(tmp_path, root, harness, monkeypatch):
    path = write_zip(tmp_path / "set.zip", set5_files())
    publish(monkeypatch, archive_of(path))
    harness.good("data", "fetch", "Set5", "--data-root", root, "--mirror", path)
    assert files_below(root) == EXPECTED


def test_two_folders_become_one_and_a_file_is_left_out(tmp_path, root, harness, monkeypatch):
    folder = "BSR/BSDS500/data/images"
    files = {f"{folder}/train/{n}.png": png(8, 8, n) for n in range(3)}
    files |= {f"{folder}/test/{n}.png": png(8, 8, n) for n in (7, 302003)}
    path = write_tar(tmp_path / "BSR_bsds500.tgz", files)
    places = {"train/BSDS399": (f"{folder}/train", f"{folder}/test")}
    known = dataclasses.replace(archive_of(path), folders=places, leave_out="302003.png")
    few = dataclasses.replace(SPECS["BSDS399"].layout, expected=4)
    monkeypatch.setitem(SPECS, "BSDS399", dataclasses.replace(SPECS["BSDS399"], layout=few))
    publish(monkeypatch, known)
    harness.good("data", "fetch", "BSDS399", "--data-root", root, "--mirror", tmp_path)
    assert {p.stem for p in (root / "train/BSDS399").iterdir()} == {"0", "1", "2", "7"}


def test_a_second_process_waits_and_says_so(fetch, root, monkeypatch):
    (root / fetching.CACHE).mkdir(parents=True)
    lock, said = FileLock(root / fetching.CACHE / "lock"), []
    lock.acquire()
    monkeypatch.setattr(locks, "QUIET", 0)
    monkeypatch.setattr(locks, "POLL", 0.01)
    monkeypatch.setattr(locks, "say", lambda text: (said.append(text), lock.release()))
    assert fetch()[0] == 0
    assert "another process that is fetching" in said[0]
    assert files_below(root) == EXPECTED


# Cut connections


def ranges(server) -> list[int | None]:
    return [None if r is None else int(r[6:-1]) for r in server.asked]


def test_a_cut_download_goes_on(fetch, root, server):
    server.cuts = [5000, 7000, 100]
    assert fetch()[0] == 0
    assert files_below(root) == EXPECTED
    starts = ranges(server)
    assert starts[0] is None
    assert starts[1:] == sorted(starts[1:])
    assert starts[1] >= 4000


def test_the_next_command_goes_on(fetch, root, server):
    server.cuts = [5000] + [0] * download.PATIENCE
    assert_failed(fetch(), root, "cannot be downloaded", "--mirror", "kept")
    assert (root / fetching.CACHE / "benchmark.tar.part").stat().st_size >= 4000
    asked = len(server.asked)
    assert fetch()[0] == 0
    assert ranges(server)[asked] >= 4000
    assert files_below(root) == EXPECTED


def test_attempts_without_progress_are_bounded(fetch, root, server):
    server.cuts = [0] * 99
    assert_failed(fetch(), root, "cannot be downloaded")
    assert len(server.asked) == download.PATIENCE


def test_a_server_without_ranges_starts_over(fetch, root, server):
    server.ranges, server.cuts = False, [5000]
    assert fetch()[0] == 0
    assert files_below(root) == EXPECTED


def test_a_server_without_ranges_that_always_cuts_is_given_up(fetch, root, server):
    server.ranges, server.cuts = False, [5000] * 99
    assert_failed(fetch(), root, "cannot be downloaded")
    assert len(server.asked) == download.PATIENCE + 1


def test_a_changed_file_starts_over(fetch, root, server):
    """The part is of a version that the server no longer has."""
    good = server.content
    server.content, server.cuts = bytes(len(good)), [5000] + [0] * download.PATIENCE
    assert fetch()[0] == 1
    server.content = good
    assert fetch()[0] == 0
    assert files_below(root) == EXPECTED


def test_a_server_that_sends_another_range_starts_over(fetch, root, server):
    server.skew, server.cuts = 7, [5000]
    assert fetch()[0] == 0
    assert files_below(root) == EXPECTED


def test_an_answer_that_does_not_end_where_it_should(fetch, root, server, monkeypatch):
    monkeypatch.setattr(download, "_CHUNK", 1000)
    server.announces, server.content = False, server.content + b"more"
    assert fetch()[0] == 0
    assert files_below(root) == EXPECTED


def test_a_part_that_is_too_long_starts_over(fetch, root, server):
    part = root / fetching.CACHE / "benchmark.tar.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(len(server.content) + 5))
    assert fetch()[0] == 0
    assert files_below(root) == EXPECTED


def test_passing_troubles_of_the_server(fetch, root, server):
    server.statuses = [503, 500, 429]
    assert fetch()[0] == 0
    assert files_below(root) == EXPECTED


def test_ctrl_c_keeps_the_part(fetch, root, server, monkeypatch):
    original = urllib3.response.HTTPResponse.stream

    def interrupted(*arguments, **options):
        pieces = original(*arguments, **options)
        yield from (next(pieces) for _ in range(3))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(urllib3.response.HTTPResponse, "stream", interrupted)
        status, _, err = fetch()
    assert (status, "What was downloaded is kept" in err) == (130, True)
    assert not (root / "benchmark").exists()
    assert fetch()[0] == 0
    assert ranges(server)[-1] == 3 * 1024
    assert files_below(root) == EXPECTED


# Wrong files and servers


def test_a_wrong_hash(fetch, root, server, tar):
    server.content = server.content[:-1] + b"x"
    known = archive_of(tar).sha256
    assert_failed(fetch(), root, known, "Nothing was unpacked", "published by a test")
    assert files_below(root) == {}, "the bad file is gone"


def test_a_local_mirror_with_a_wrong_hash(fetch, root, tar):
    known = archive_of(tar).sha256
    tar.write_bytes(tar.read_bytes()[:-1] + b"x")
    found = archive_of(tar).sha256
    assert_failed(fetch("--mirror", tar), root, known, found, "Nothing was unpacked")
    assert tar.exists()


def test_another_size_is_refused_before_it_is_downloaded(fetch, root, server):
    server.content += b"more"
    assert_failed(fetch(), root, f"has {len(server.content)} bytes")
    assert files_below(root) == {}


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_error_page(status, fetch, root, server):
    server.statuses = [status]
    assert_failed(fetch(), root, f"answers {status}", f"{server.url}/benchmark.tar", "--mirror")


def test_no_network(fetch, root, tar, monkeypatch):
    publish(monkeypatch, archive_of(tar))
    assert_failed(fetch(), root, "http://127.0.0.1:9/benchmark.tar cannot be downloaded", "refused")


@pytest.mark.parametrize("mirror", ["ftp://host/x", "s3://bucket", "http://[", "http://"])
def test_mirrors_of_other_kinds(mirror, fetch):
    status, _, err = fetch("--mirror", mirror)
    assert (status, "--mirror takes" in err) == (2, True)


def test_a_mirror_that_is_no_address(fetch, root):
    assert_failed(fetch("--mirror", "http://*host"), root, "is no address")


@pytest.mark.parametrize("mirror", ["empty", "other.tar", "none"])
def test_a_local_mirror_without_the_archive(mirror, fetch, root, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.tar").write_bytes(b"x")
    assert_failed(fetch("--mirror", tmp_path / mirror), root, "has no benchmark.tar")


def test_what_is_not_fetched(harness, root):
    status, _, err = harness("data", "fetch", "embedded-eval", "--data-root", root)
    assert (status, "part of scikit-image" in err) == (2, True)
    status, _, err = harness("data", "fetch", "Set55", "--data-root", root)
    assert (status, "Did you mean 'Set5'" in err) == (2, True)
    status, _, err = harness("data", "fetch", "Set5")
    assert (status, "--data-root" in err) == (2, True)
    assert not root.exists()


# Disks


def test_a_full_disk_is_noticed_before_the_download(fetch, root, server, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage)
    assert_failed(fetch(), root, "Free some space")
    assert server.asked == []


def no_space(*_arguments):
    raise OSError(errno.ENOSPC, "No space left on device", "x")


def test_a_disk_that_fills_up_during_the_download(fetch, root, server, monkeypatch):
    original = Path.open

    def opened(path, mode="r", **options):
        file = original(path, mode, **options)
        if path.suffix == ".part" and "a" in mode:
            write, pieces = file.write, iter(range(3))
            file.write = lambda data: no_space() if next(pieces, 3) == 3 else write(data)
        return file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        assert_failed(fetch(), root, "No space left", "what was downloaded is kept")
    assert fetch()[0] == 0
    assert ranges(server)[-1] == 3 * 1024


@pytest.mark.parametrize("where", [(os, "fsync"), (fetching, "open_image"), (Path, "rename")])
@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("trouble", ["full", "ctrl-c"])
@pytest.mark.parametrize("there", [0, 4])
def test_unpacking_that_is_interrupted(where, after, trouble, there, fetch, root, monkeypatch):
    """Whenever it happens, nothing has changed, and the command can be repeated.

    It is the same where a part of the images is there already (`there` of each folder's five).
    """
    before = write_some(root, there)
    original, calls = getattr(*where), []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == after + 1:
            if trouble == "full":
                no_space()
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(*where, failing)
        status, _, err = fetch("--keep-archive")
    if len(calls) > after:
        assert status == (1 if trouble == "full" else 130), err
        assert ("No space left" in err) == (trouble == "full")
        assert images(root) == before
        assert (root / "benchmark").exists() == bool(there), "not even an empty folder"
        assert fetch()[0] == 0
    assert images(root) == EXPECTED


@pytest.mark.parametrize("there", [0, 3])
@pytest.mark.parametrize("moves", range(4))
def test_a_process_that_is_killed_between_two_moves(moves, there, fetch, root, monkeypatch):
    """The set is absent, or says that it is incomplete, until its last image is in place."""
    write_some(root, there)
    original, calls = Path.rename, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) > moves:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        fetch()
    if len(calls) > moves:
        assert not find("Set5", root).complete if there else not (root / HR).exists()
        assert fetch()[0] == 0
    assert images(root) == EXPECTED
    assert find("Set5", root).complete


def test_what_a_killed_process_left_is_cleared(fetch, root):
    left = root / "benchmark/Set5/.HR.unpacking"
    left.mkdir(parents=True)
    (left / "baby.png").write_bytes(b"half")
    assert fetch()[0] == 0
    assert files_below(root) == EXPECTED


def test_a_data_root_that_cannot_be_written(harness, server):
    status, _, err = harness("data", "fetch", "Set5", "--data-root", "/proc/data")
    assert (status, "Cannot write to" in err) == (1, True)


# What is there already


def test_missing_images_are_added_to_what_is_there(fetch, root):
    assert fetch()[0] == 0
    repacked = root / HR / "baby.png"
    Image.open(repacked).save(repacked, compress_level=0)
    kept = repacked.read_bytes()
    (root / HR / "bird.png").unlink()
    (root / HR / "woman.png").unlink()
    assert fetch()[0] == 0
    assert files_below(root) == {**EXPECTED, f"{HR}/baby.png": kept}


def test_links_to_other_places_stay(fetch, root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    root.mkdir()
    (root / "benchmark").symlink_to(tmp_path / "elsewhere")
    assert fetch()[0] == 0
    assert (root / "benchmark").is_symlink()
    assert files_below(tmp_path / "elsewhere") == {
        name.removeprefix("benchmark/"): content for name, content in EXPECTED.items()
    }


def test_other_images_are_never_overwritten(fetch, root):
    assert fetch()[0] == 0
    (root / HR / "bird.png").unlink()
    (root / HR / "baby.png").write_bytes(png(40, 36, 77))
    (root / HR / "woman.png").write_bytes(b"broken")
    before = files_below(root)
    status, _, err = fetch()
    assert status == 1
    assert "baby.png" in err and "woman.png" in err
    assert "Nothing was changed" in err
    assert {n: c for n, c in files_below(root).items() if n in before} == before
    assert not (root / HR / "bird.png").exists()


# Hostile and damaged archives


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


BAD_NAMES = [
    "/etc/passwd",
    "../outside.png",
    f"{HR}/../../../outside.png",
    "..\\outside.png",
    "C:/outside.png",
    "\\\\host\\share\\x.png",
]
BAD_ENTRIES = {
    "symlink": special(f"{HR}/baby.png", tarfile.SYMTYPE, "/etc/passwd"),
    "hardlink": special(f"{HR}/baby.png", tarfile.LNKTYPE, "../../outside"),
    "linked folder": special("benchmark/Set5", tarfile.SYMTYPE, "/tmp"),
    "device": special(f"{HR}/baby.png", tarfile.CHRTYPE),
    "pipe": special(f"{HR}/x", tarfile.FIFOTYPE),
}


def assert_refused(path: Path, root: Path, harness, monkeypatch, part: str) -> None:
    publish(monkeypatch, archive_of(path))
    before = files_below(path.parent)
    result = harness("data", "fetch", "Set5", "--data-root", root, "--mirror", path.parent)
    assert_failed(result, root, part, path.name)
    assert files_below(path.parent) == before


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_outside(kind, name, tmp_path, root, harness, monkeypatch):
    files = {**set5_files(), name: png(4, 4)}
    write = {"zip": write_zip, "tar": write_tar}[kind]
    path = write(tmp_path / f"set.{kind}", files)
    assert_refused(path, root, harness, monkeypatch, "leads outside its folder")


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_links_and_devices(name, tmp_path, root, harness, monkeypatch):
    path = write_tar(tmp_path / "set.tar", set5_files(), BAD_ENTRIES[name])
    assert_refused(path, root, harness, monkeypatch, "among its images")


def test_links_elsewhere_are_not_unpacked(tmp_path, root, harness, monkeypatch):
    link = special("benchmark/other", tarfile.SYMTYPE, "/etc")
    path = write_tar(tmp_path / "set.tar", set5_files(), link)
    publish(monkeypatch, archive_of(path))
    harness.good("data", "fetch", "Set5", "--data-root", root, "--mirror", path)
    assert files_below(root) == EXPECTED


def test_a_link_in_a_zip(tmp_path, root, harness, monkeypatch):
    path = write_zip(tmp_path / "set.zip", set5_files())
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(f"{HR}/x.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert_refused(path, root, harness, monkeypatch, "a link or device")


def test_bombs(tmp_path, root, harness, monkeypatch):
    path = write_tar(tmp_path / "set.tgz", {**set5_files(), "zeros": bytes(300_000)})
    for limit, value in {"MAX_TOTAL": 200_000, "MAX_ENTRIES": 8, "MAX_IMAGE": 100}.items():
        with monkeypatch.context() as patch:
            patch.setattr(unpack, limit, value)
            assert_refused(path, root, harness, patch, "that many or large files")


@pytest.mark.parametrize("claimed", [3, 10**6])
def test_an_entry_of_another_size_than_it_says(claimed, tmp_path, root, harness, monkeypatch):
    """In a zip file: a tar file has nothing but the claim to tell where an entry ends."""
    path = write_zip(tmp_path / "set.zip", set5_files())
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, claimed)
    path.write_bytes(data)
    assert_refused(path, root, harness, monkeypatch, "cannot be unpacked")


def test_two_images_of_one_name(tmp_path, root, harness, monkeypatch):
    path = write_tar(tmp_path / "set.tar", set5_files())
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo(f"{HR}/baby.png"), io.BytesIO())
    assert_refused(path, root, harness, monkeypatch, "two images called")


def test_a_truncated_image(tmp_path, root, harness, monkeypatch):
    files = set5_files()
    files[f"{HR}/head.png"] = files[f"{HR}/head.png"][:-900]
    path = write_tar(tmp_path / "set.tar", files)
    assert_refused(path, root, harness, monkeypatch, "holds a damaged image. head.png")


@pytest.mark.parametrize("left_out", [f"{HR}/head.png", f"{X2}/headx2.png"])
def test_an_archive_that_lacks_an_image(left_out, tmp_path, root, harness, monkeypatch):
    files = {name: content for name, content in set5_files().items() if name != left_out}
    path = write_tar(tmp_path / "set.tar", files)
    assert_refused(path, root, harness, monkeypatch, "has 4 images")


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_damaged_archives(kind, damage, tmp_path, root, harness, monkeypatch):
    write = write_zip if kind == "zip" else write_tar
    path = write(tmp_path / f"set.{kind}", set5_files())
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"no archive", "empty": b""}[damage])
    assert_refused(path, root, harness, monkeypatch, "")


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_random_damage_is_a_clear_error_or_harmless(kind, tmp_path):
    """Bytes changed anywhere: images come out, or one clear error; nothing lies elsewhere."""
    write = write_zip if kind == "zip" else write_tar
    path = write(tmp_path / f"set.{kind}", set5_files())
    whole = path.read_bytes()
    rng = random.Random(0)
    for trial in range(60):
        data = bytearray(whole)
        for _ in range(1 + trial % 8):
            # Names, sizes and offsets lie at the ends.
            place = rng.randrange(len(data) if trial % 3 else 700)
            data[-place if trial % 2 else place] ^= rng.randrange(1, 256)
        path.write_bytes(data)
        target = tmp_path / f"out-{trial}"
        target.mkdir()
        with contextlib.suppress(HarnessError):
            list(unpack.extract(path, {HR: target}))
        assert all(p == path or p.name.startswith("out-") for p in tmp_path.iterdir())
        assert all(p.is_file() and not p.is_symlink() for p in target.iterdir())


def test_what_a_process_left_that_was_killed_at_the_end_is_cleared(fetch, root, tar):
    assert fetch()[0] == 0
    there = images(root)
    part, staging = root / ".harness-data/benchmark.tar.part", root / f"{HR[:-2]}.HR.unpacking"
    part.write_bytes(tar.read_bytes())
    staging.mkdir()
    assert fetch()[0] == 0
    assert (part.exists(), staging.exists()) == (False, False)
    part.write_bytes(tar.read_bytes()[:-1])  # a download that was cut, maybe of another set
    assert fetch()[0] == 0
    assert part.exists()
    assert images(root) == there
