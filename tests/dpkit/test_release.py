"""The release file: round trips, canonical bytes, and refusal of everything that dpkit did not write."""

import hashlib
import json
import os
import stat
import struct
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpkit
from dpkit.noise import UnsafeSeededNoise
from dpkit.release import MAGIC, Sealed, seal, unseal, write_atomically


def make(**change):
    settings_ = {"d": 2, "features": 6, "epsilon": 0.5, "bandwidth": 0.75, "public_seed": 11, **change}
    builder = dpkit.KDE.builder(**settings_)
    return builder.update([[0.25, 1.0], [2.0, -1.0]]).release(unsafe_noise=UnsafeSeededNoise(5))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"delta": 1e-6},
        {"neighbours": "replace"},
        {"delta": 1e-9, "neighbours": "replace", "bounds": (-1.0, [1.0, 2.5])},
        {"kernel": "inverse_l1", "epsilon": 0.1 + 0.2, "public_seed": 2**64 - 1},
    ],
)
def test_saved_and_loaded_answers_are_equal(tmp_path, change):
    kde = make(**change)
    path = tmp_path / "kde.dpk"
    kde.save(path)
    twin = dpkit.load(path)
    Y = np.random.default_rng(0).normal(size=(300, 2))
    for normalized in (False, True):
        for mine, other in zip(
            kde.query(Y, normalized=normalized, return_std=True),
            twin.query(Y, normalized=normalized, return_std=True),
            strict=True,
        ):
            assert (mine == other).all()
    assert twin.guarantee == kde.guarantee
    assert twin.public == kde.public
    assert repr(twin) == repr(kde)
    assert twin.to_bytes() == kde.to_bytes() == path.read_bytes()
    assert dpkit.KDE.load(str(path)).to_bytes() == kde.to_bytes()


def test_the_file_is_pinned():
    """The bytes of one release, written by an earlier build, still read and still come out the same."""
    golden = GOLDEN.read_bytes()
    kde = dpkit.KDE.from_bytes(golden)
    assert kde.to_bytes() == golden
    assert kde.query([[0.25, 1.0]])[0].hex() == "0x1.2f682bd12df55p+2"


GOLDEN = files("tests").joinpath("dpkit/golden/kde-v2.dpk")
FIRST_MAP = files("tests").joinpath("dpkit/golden/kde-v1.dpk")


def test_a_release_with_the_first_map_is_refused_in_one_plain_line():
    """Its phases were modulo 2^62: read with today's frequencies, its sums would answer nonsense."""
    with pytest.raises(
        dpkit.FormatError, match=r"version 1 of the public feature map.* reads version 2"
    ) as caught:
        dpkit.KDE.from_bytes(FIRST_MAP.read_bytes())
    assert "\n" not in str(caught.value)


def test_layout():
    data = make().to_bytes()
    magic, version, size = struct.unpack_from("<8sIQ", data)
    assert (magic, version) == (MAGIC, 1)
    header = json.loads(data[20 : 20 + size])
    assert header["kind"] == "kde"
    assert {a["name"] for a in header["arrays"]} == {"sums", "count"}
    assert data[-32:] == hashlib.sha256(data[:-32]).digest()
    assert len(data) == 20 + size + 8 * (2 * 6 + 1) + 32
    assert header["public"]["scale_sums"] == str(make()._settings.calibration.sums)
    assert "seed" not in "".join(header["public"]).replace("public_seed", "")


def test_every_truncation_and_every_flipped_byte_is_refused():
    data = make().to_bytes()
    for length in range(len(data)):
        with pytest.raises(dpkit.FormatError):
            dpkit.KDE.from_bytes(data[:length])
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << (position % 8)
        with pytest.raises(dpkit.FormatError):
            dpkit.KDE.from_bytes(bytes(damaged))
    with pytest.raises(dpkit.FormatError):
        dpkit.KDE.from_bytes(data + b"\0")


@settings(max_examples=200)
@given(st.binary(max_size=300), st.booleans())
def test_foreign_bytes_are_refused(tail, pretend):
    with pytest.raises(dpkit.FormatError):
        unseal((MAGIC if pretend else b"") + tail)


def forged(edit, digest=True):
    """A file with an edited header and, usually, a matching digest."""
    data = make().to_bytes()
    size = struct.unpack_from("<Q", data, 12)[0]
    header = json.loads(data[20 : 20 + size])
    edit(header)
    raw = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    body = MAGIC + struct.pack("<IQ", 1, len(raw)) + raw + data[20 + size : -32]
    return body + (hashlib.sha256(body).digest() if digest else data[-32:])


def edits():
    def public(**values):
        return lambda header: header["public"].update(values)

    yield from (
        public(kernel="triangle"),
        public(kernel=3),
        public(bandwidth=-1.0),
        public(bandwidth="1"),
        public(columns=3),
        public(columns=10**9),
        public(features=10**9),
        public(features=7),
        public(public_seed=12),
        public(public_seed=-1),
        public(epsilon=0),
        public(epsilon=None),
        public(delta=0.5),
        public(neighbours="replace"),
        public(neighbours="friends"),
        public(bounds=[1]),
        public(grid_bits=99),
        public(map_sha256="00"),
        public(map_version=1),
        public(map_version=3),
        public(map_version="2"),
        lambda header: header["public"].pop("map_version"),
        public(mechanism="discrete-gaussian"),
        public(scale_sums="0"),
        public(scale_sums="1/0"),
        public(scale_sums=[]),
        public(scale_count=None),
        public(guarantee={"kind": "Magic"}),
        public(guarantee=[]),
        public(guarantee={"kind": "ApproxDP", "epsilon": 1.0, "delta": 0.1, "neighbours": "replace"}),
        public(noise=7),
        lambda header: header["public"].pop("noise"),
        lambda header: header["public"].pop("epsilon"),
        lambda header: header.update(kind="counter"),
        lambda header: header.update(kind=1),
        lambda header: header.update(extra=1),
        lambda header: header.pop("arrays"),
        lambda header: header["arrays"].pop(),
        lambda header: header["arrays"][0].update(name="sums"),
        lambda header: header["arrays"][0].update(name="other"),
        lambda header: header["arrays"][0].update(dtype="|O"),
        lambda header: header["arrays"][0].update(dtype="<f8"),
        lambda header: header["arrays"][1].update(shape=[3, 4]),
        lambda header: header["arrays"][1].update(shape=[2**62, 2**62]),
        lambda header: header["arrays"][1].update(shape=[-2, -6]),
        lambda header: header["arrays"][1].update(shape="12"),
    )


@pytest.mark.parametrize("edit", list(edits()))
def test_consistent_forgeries_are_refused_by_their_content(edit):
    with pytest.raises(dpkit.FormatError):
        dpkit.KDE.from_bytes(forged(edit))


def test_the_forger_itself_writes_good_files():
    assert dpkit.KDE.from_bytes(forged(lambda header: None)).to_bytes() == make().to_bytes()
    with pytest.raises(dpkit.FormatError, match="SHA-256"):
        dpkit.KDE.from_bytes(forged(lambda header: header["public"].update(epsilon=9.0), digest=False))


def test_headers_must_be_canonical():
    data = make().to_bytes()
    size = struct.unpack_from("<Q", data, 12)[0]
    raw = data[20 : 20 + size]
    for other in (
        raw.replace(b":", b": ", 1),
        raw[:-1] + b',"kind":"kde"}',
        b"[" * 100_000,
        b"{}",
        b"\xff",
    ):
        body = MAGIC + struct.pack("<IQ", 1, len(other)) + other + data[20 + size : -32]
        with pytest.raises(dpkit.FormatError, match="malformed"):
            unseal(body + hashlib.sha256(body).digest())


def test_other_versions_and_kinds_are_named(tmp_path):
    data = bytearray(make().to_bytes())
    data[8] = 2
    with pytest.raises(dpkit.FormatError, match="format 2"):
        unseal(bytes(data))
    path = tmp_path / "other.dpk"
    path.write_bytes(seal(Sealed("teapot", {}, {})))
    with pytest.raises(dpkit.FormatError, match="teapot"):
        dpkit.load(path)
    with pytest.raises(dpkit.FormatError, match="teapot"):
        dpkit.KDE.load(path)


def test_load_names_the_file(tmp_path):
    path = tmp_path / "not-a-release.npy"
    np.save(path, np.zeros(3))
    with pytest.raises(dpkit.FormatError, match="not-a-release"):
        dpkit.load(path)
    with pytest.raises(FileNotFoundError):
        dpkit.load(tmp_path / "absent.dpk")


def test_arrays_keep_their_values():
    arrays = {"b": np.array([[1, -(2**63)], [2**63 - 1, 0]]), "a": np.array([0.1, np.nan, -np.inf])}
    back = unseal(seal(Sealed("demo", {"x": [1, None, "é"]}, arrays)))
    assert back.public == {"x": [1, None, "é"]}
    for name, array in arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)
        assert back.arrays[name].dtype == array.dtype


def test_writing_replaces_whole_files_and_leaves_no_trace(tmp_path, monkeypatch):
    path = tmp_path / "x.dpk"
    path.write_bytes(b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"newer")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["x.dpk"]


def test_writing_follows_links_and_never_replaces_devices(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    write_atomically("/dev/null", b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write_atomically(tmp_path / "absent" / "x", b"")
