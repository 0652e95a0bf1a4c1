"""`harness data fetch`: downloads that are cut, files that are wrong, archives that are hostile."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import random
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
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
from PIL import Image
from tiny import files_below

from harness.data import archives, download, fetching, install, unpack
from harness.data.archives import ARCHIVES
from harness.data.download import ResumingDownloader
from harness.data.sets import SPECS
from harness.errors import HarnessError

EXPECTED = {name: content for name, content in set5_files().items() if name.endswith(".png")}
EXPECTED.pop(f"{HR}/._baby.png")


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
        monkeypatch.setattr(archives, "ARCHIVES", (archive_of(tar, running.url),))
        yield running


@pytest.fixture
def fetch(root, server, harness):
    return lambda *options: harness("data", "fetch", "Set5", "--data-root", root, *options)


def images(root: Path) -> dict[str, bytes]:
    """Every file below the root; the cache folder must be gone but for its lock."""
    return files_below(root)


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
    for archive in ARCHIVES:
        algorithm, digest = archive.hash.split(":")
        assert (algorithm, len(digest)) == ("sha256", 64)
        assert archive.url.startswith("https://")
        assert archive.url.endswith(f"/{archive.file}")
        assert archive.hash_source
        for name, parts in archive.parts.items():
            layout = SPECS[name].layout
            for part in parts:
                assert part.images == layout.expected
                lr = "" if layout.lr is None else layout.lr.removesuffix("{scale}")
                assert part.target == layout.hr or part.target.startswith(lr)


@pytest.mark.parametrize("name", [n for n, spec in SPECS.items() if spec.layout])
def test_every_dataset_of_files_can_be_fetched_hr_last(name):
    targets = [p.target for a in archives.archives_of(name) for p in a.parts[name]]
    layout = SPECS[name].layout
    assert targets[-1] == layout.hr
    scales = [2, 3, 4] if layout.lr else []
    assert targets[:-1] == [layout.lr.format(scale=s) for s in scales]


# Good downloads


def test_fetch(fetch, root, server):
    status, out, err = fetch()
    assert status == 0, err
    assert out.split() == [str(root / X2), str(root / HR)]
    assert images(root) == EXPECTED
    status, out, _ = fetch()
    assert "Complete already: Set5" in out
    assert len(server.asked) == 1


def test_an_archive_is_kept_when_asked(fetch, root, tar):
    assert fetch("--keep-archive")[0] == 0
    assert (root / fetching.CACHE / "benchmark.tar").read_bytes() == tar.read_bytes()


@pytest.mark.parametrize("start", ["folder", "file", "url", "file-url", "base-url"])
def test_mirrors(start, fetch, root, tar, server, monkeypatch):
    known = dataclasses.replace(archive_of(tar), url="http://127.0.0.1:9/gone")
    monkeypatch.setattr(archives, "ARCHIVES", (known,))
    mirrors = {
        "folder": tar.parent,
        "file": tar,
        "url": f"{server.url}/benchmark.tar",
        "file-url": tar.as_uri(),
        "base-url": f"{server.url}/",
    }
    before = tar.read_bytes()
    assert fetch("--mirror", mirrors[start])[0] == 0
    assert images(root) == EXPECTED
    assert tar.read_bytes() == before, "a local mirror is only read"


def test_a_zip_archive(tmp_path, root, harness, monkeypatch):
    path = write_zip(tmp_path / "set.zip", set5_files())
    monkeypatch.setattr(archives, "ARCHIVES", (archive_of(path),))
    harness.good("data", "fetch", "Set5", "--data-root", root, "--mirror", path)
    assert images(root) == EXPECTED


def test_two_folders_become_one_and_a_file_is_left_out(tmp_path, root, harness, monkeypatch):
    folder = "BSR/BSDS500/data/images"
    files = {f"{folder}/train/{n}.png": png(8, 8, n) for n in range(3)}
    files |= {f"{folder}/test/{n}.png": png(8, 8, n) for n in (7, 302003)}
    path = write_tar(tmp_path / "BSR_bsds500.tgz", files)
    part = archives.Part(
        "train/BSDS399", (f"{folder}/train", f"{folder}/test"), 4, frozenset({"302003.png"})
    )
    known = dataclasses.replace(archive_of(path), parts={"BSDS399": (part,)})
    monkeypatch.setattr(archives, "ARCHIVES", (known,))
    harness.good("data", "fetch", "BSDS399", "--data-root", root, "--mirror", tmp_path)
    assert {p.stem for p in (root / "train/BSDS399").iterdir()} == {"0", "1", "2", "7"}


# Cut connections


def ranges(server) -> list[int | None]:
    return [None if r is None else int(r[6:-1]) for r in server.asked]


def test_a_cut_download_goes_on(fetch, root, server):
    server.cuts = [5000, 7000, 100]
    assert fetch()[0] == 0
    assert images(root) == EXPECTED
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
    assert images(root) == EXPECTED


def test_attempts_without_progress_are_bounded(fetch, root, server):
    server.cuts = [0] * 99
    assert_failed(fetch(), root, "cannot be downloaded")
    assert len(server.asked) == download.PATIENCE


def test_a_server_without_ranges_starts_over(fetch, root, server):
    server.ranges, server.cuts = False, [5000]
    assert fetch()[0] == 0
    assert images(root) == EXPECTED


def test_a_server_without_ranges_that_always_cuts_is_given_up(fetch, root, server):
    server.ranges, server.cuts = False, [5000] * 99
    assert_failed(fetch(), root, "cannot be downloaded")
    assert len(server.asked) == download.PATIENCE + 1


@pytest.mark.parametrize("ignores", [False, True])
def test_a_changed_file_starts_over(ignores, fetch, root, server):
    """The part is of a version that the server no longer has."""
    server.ignores_if_range = ignores
    good = server.content
    server.content, server.etag = bytes(len(good)), '"old"'
    server.cuts = [5000] + [0] * download.PATIENCE
    assert fetch()[0] == 1
    server.content, server.etag = good, '"new"'
    assert fetch()[0] == 0
    assert images(root) == EXPECTED


def test_a_server_without_etag_goes_on(fetch, root, server):
    server.etag, server.cuts = None, [5000]
    assert fetch()[0] == 0
    assert ranges(server)[1] >= 4000
    assert images(root) == EXPECTED


def test_a_weak_etag_is_not_trusted_for_ranges(fetch, root, server):
    server.etag, server.cuts = 'W/"one"', [5000]
    assert fetch()[0] == 0
    assert images(root) == EXPECTED


def test_a_part_that_is_too_long_starts_over(fetch, root, server):
    part = root / fetching.CACHE / "benchmark.tar.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(len(server.content) + 5))
    assert fetch()[0] == 0
    assert images(root) == EXPECTED


def test_passing_troubles_of_the_server(fetch, root, server):
    server.statuses = [503, 500, 429]
    assert fetch()[0] == 0
    assert images(root) == EXPECTED


def test_ctrl_c_keeps_the_part(fetch, root, server, monkeypatch):
    pieces = []

    def interrupted(file, chunk, path):
        pieces.append(file.write(chunk))
        if len(pieces) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download, "_append", interrupted)
        status, _, err = fetch()
    assert (status, "What was downloaded is kept" in err) == (130, True)
    assert not (root / "benchmark").exists()
    assert fetch()[0] == 0
    assert ranges(server)[-1] == sum(pieces)
    assert images(root) == EXPECTED


# Wrong files and servers


def test_a_wrong_hash(fetch, root, server, tar):
    server.content = server.content[:-1] + b"x"
    known = archive_of(tar).hash
    assert_failed(fetch(), root, known, "Nothing was unpacked", "published by a test")
    assert images(root) == {}, "the bad file is gone"


def test_a_local_mirror_with_a_wrong_hash(fetch, root, tar):
    known = archive_of(tar).hash.removeprefix("sha256:")
    tar.write_bytes(tar.read_bytes()[:-1] + b"x")
    found = archive_of(tar).hash.removeprefix("sha256:")
    assert_failed(fetch("--mirror", tar), root, known, found, "Nothing was unpacked")
    assert tar.exists()


def test_another_size_is_refused_before_it_is_downloaded(fetch, root, server):
    server.content += b"more"
    assert_failed(fetch(), root, f"has {len(server.content)} bytes")
    assert images(root) == {}


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_error_page(status, fetch, root, server):
    server.statuses = [status]
    assert_failed(fetch(), root, f"answers {status}", f"{server.url}/benchmark.tar", "--mirror")


def test_no_network(fetch, root, tar, monkeypatch):
    monkeypatch.setattr(archives, "ARCHIVES", (archive_of(tar),))
    assert_failed(fetch(), root, "http://127.0.0.1:9/benchmark.tar cannot be downloaded", "refused")


@pytest.mark.parametrize("mirror", ["ftp://host/x", "s3://bucket", "http://[", "http://"])
def test_mirrors_of_other_kinds(mirror, fetch):
    status, _, err = fetch("--mirror", mirror)
    assert (status, "--mirror takes" in err) == (2, True)


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


def test_a_disk_that_fills_up_during_the_download(fetch, root, monkeypatch):
    class Full(io.BytesIO):
        write = no_space

    def full(self, response, part):
        download._append(Full(), b"x", part.path)

    with monkeypatch.context() as patch:
        patch.setattr(ResumingDownloader, "_receive", full)
        assert_failed(fetch(), root, "No space left", "benchmark.tar.part")
    assert fetch()[0] == 0


@pytest.mark.parametrize("where", ["write", "image", "rename"])
@pytest.mark.parametrize("trouble", ["full", "ctrl-c"])
def test_unpacking_that_is_interrupted(where, trouble, fetch, root, monkeypatch):
    """Whenever it happens, nothing of the dataset is visible, and the command can be repeated."""
    places = {
        "write": (unpack, "_write"),
        "image": (fetching, "open_image"),
        "rename": (fetching, "refuse_conflicts"),
    }
    module, name = places[where]
    original, calls = getattr(module, name), []

    def failing(*arguments):
        calls.append(1)
        if where == "rename" or len(calls) == 4:
            if trouble == "full":
                no_space()
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, failing)
        status, _, err = fetch()
    assert status == (1 if trouble == "full" else 130), err
    assert ("No space left" in err) == (trouble == "full")
    assert not (root / "benchmark").exists(), "nothing, not even an empty folder"
    assert fetch()[0] == 0
    assert images(root) == EXPECTED


def test_ctrl_c_between_two_folders(fetch, root, monkeypatch):
    """LR is in place, HR not yet: the set is not there. The next command brings the rest."""
    original, calls = fetching.put_in_place, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fetching, "put_in_place", failing)
        assert fetch()[0] == 130
    assert {Path(n).parent for n in images(root) if "benchmark/" in n} == {Path(X2)}
    assert fetch()[1].split() == [str(root / HR)]
    assert images(root) == EXPECTED


def test_what_a_killed_process_left_is_cleared(fetch, root):
    left = install.staging_of(root / HR)
    left.mkdir(parents=True)
    (left / "baby.png").write_bytes(b"half")
    assert fetch()[0] == 0
    assert images(root) == EXPECTED


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
    assert images(root) == {**EXPECTED, f"{HR}/baby.png": kept}


def test_other_images_are_never_overwritten(fetch, root):
    assert fetch()[0] == 0
    (root / HR / "bird.png").unlink()
    (root / HR / "baby.png").write_bytes(png(40, 36, 77))
    (root / HR / "woman.png").write_bytes(b"broken")
    before = images(root)
    status, _, err = fetch()
    assert status == 1
    assert "baby.png" in err and "woman.png" in err
    assert "Nothing was changed" in err
    assert {n: c for n, c in images(root).items() if n in before} == before
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
    monkeypatch.setattr(archives, "ARCHIVES", (archive_of(path),))
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
    assert_refused(path, root, harness, monkeypatch, "leads outside")


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_links_and_devices(name, tmp_path, root, harness, monkeypatch):
    path = write_tar(tmp_path / "set.tar", set5_files(), BAD_ENTRIES[name])
    assert_refused(path, root, harness, monkeypatch, "among its images")


def test_links_elsewhere_are_not_unpacked(tmp_path, root, harness, monkeypatch):
    link = special("benchmark/other", tarfile.SYMTYPE, "/etc")
    path = write_tar(tmp_path / "set.tar", set5_files(), link)
    monkeypatch.setattr(archives, "ARCHIVES", (archive_of(path),))
    harness.good("data", "fetch", "Set5", "--data-root", root, "--mirror", path)
    assert images(root) == EXPECTED


def test_a_link_in_a_zip(tmp_path, root, harness, monkeypatch):
    path = write_zip(tmp_path / "set.zip", set5_files())
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(f"{HR}/x.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert_refused(path, root, harness, monkeypatch, "has a link")


def test_bombs(tmp_path, root, harness, monkeypatch):
    path = write_tar(tmp_path / "set.tgz", {**set5_files(), "zeros": bytes(300_000)})
    with monkeypatch.context() as patch:
        patch.setattr(unpack, "MAX_TOTAL", 200_000)
        assert_refused(path, root, harness, patch, "holds more than")
    with monkeypatch.context() as patch:
        patch.setattr(unpack, "MAX_MEMBERS", 8)
        assert_refused(path, root, harness, patch, "holds more than")
    with monkeypatch.context() as patch:
        patch.setattr(unpack, "MAX_IMAGE", 100)
        assert_refused(path, root, harness, patch, "claims")


def test_an_entry_that_is_longer_than_it_says(tmp_path):
    member = unpack.Member("x.png", "file", 3, lambda: io.BytesIO(b"12345"))
    with pytest.raises(HarnessError, match="does not hold the 3 bytes"):
        unpack._write(tmp_path / "a.zip", member, tmp_path / "x.png")


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
            unpack.extract(path, {HR: target})
        assert all(p == path or p.name.startswith("out-") for p in tmp_path.iterdir())
        assert all(p.is_file() and not p.is_symlink() for p in target.iterdir())
