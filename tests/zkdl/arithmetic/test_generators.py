"""Hashing to G1 against RFC 9380 and py-ecc; generators and their cache."""

import hashlib

import numpy as np
import pytest
from py_ecc.bls.hash_to_curve import hash_to_G1, map_to_curve_G1
from py_ecc.optimized_bls12_381 import FQ, add, multiply, normalize
from py_ecc.optimized_bls12_381.constants import H_EFF_G1

from tests.zkdl.arithmetic import twins
from zkdl.arithmetic import Fq, g1, generators, hash_kernels, hash_to_curve
from zkdl.arithmetic.paths import vector_tag
from zkdl.arithmetic.segments import normalised

pytestmark = pytest.mark.usefixtures("cpu_path")

MODULE = __import__("importlib").import_module("zkdl.arithmetic.generators")
DST = b"QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"
MESSAGES = [b"", b"abc", b"abcdef0123456789", b"q128_" + b"q" * 128, b"a512_" + b"a" * 512]

# RFC 9380, appendix J.9.1: P.x of the five messages.
RFC_X = [
    0x052926ADD2207B76CA4FA57A8734416C8DC95E24501772C814278700EED6D1E4E8CF62D9C09DB0FAC349612B759E79A1,
    0x03567BC5EF9C690C2AB2ECDF6A96EF1C139CC0B2F284DCA0A9A7943388A49A3AEE664BA5379A7655D3C68900BE2F6903,
    0x11E0B079DEA29A68F0383EE94FED1B940995272407E3BB916BBF268C263DDD57A6A27200A784CBC248E84F357CE82D98,
    0x15F68EAA693B95CCB85215DC65FA81038D69629F70AEEE0D0F677CF22285E7BF58D7CB86EEFE8F2E9BC3F8CB84FAC488,
    0x082AABAE8B7DEDB0E78AEB619AD3BFD9277A2F77BA7FAD20EF6AABDC6C31D19BA5A6D12283553294C1825C4B3CA2DCFE,
]


def from_py_ecc(point):
    x, y = normalize(point)
    return int(x), int(y)


def test_rfc_vectors():
    points = hash_to_curve.hash_to_g1(MESSAGES, DST)
    assert [x for x, _ in twins.from_array(points)] == RFC_X
    assert g1.on_curve(points).all()
    assert g1.in_subgroup(points).all()


@pytest.mark.parametrize("message", MESSAGES[:3])
def test_against_py_ecc(message):
    ours = twins.from_array(hash_to_curve.hash_to_g1([message], DST))
    assert ours == [from_py_ecc(hash_to_G1(message, DST, hashlib.sha256))]


def test_expand_message_vectors():
    """RFC 9380, appendix K.1, SHA-256 with a short tag."""
    tag = b"QUUX-V01-CS02-with-expander-SHA256-128"
    short = hash_to_curve.expand_message_xmd(b"", tag, 0x20)
    assert short.hex() == "68a985b87eb6b46952128911f2a4412bbc302a9d759667f87f7a21d803f07235"
    short = hash_to_curve.expand_message_xmd(b"abc", tag, 0x20)
    assert short.hex() == "d8ccab23b5985ccea865c6c97b6e5b8350e794e603b4b97902f53a8a0d605615"
    long = hash_to_curve.expand_message_xmd(b"", tag, 0x80)
    assert long.hex().startswith("af84c27ccfd45d41914fdff5df25293e221afc53d8ad2ac06d5e3e2948")
    for bad in (b"", b"x" * 256):
        with pytest.raises(ValueError, match="dst"):
            hash_to_curve.expand_message_xmd(b"", bad, 32)
    with pytest.raises(ValueError, match="length"):
        hash_to_curve.expand_message_xmd(b"", b"tag", 8161)


def map_pair(u, v):
    work = np.empty(18, np.uint64)
    elements = Fq.from_ints([u, v]).reshape(-1)
    constants = hash_to_curve._constants()
    hash_kernels.map_pairs(vector_tag("Fq"), work, elements, constants, hash_to_curve._EXPONENT, 0, 1)
    return twins.from_array(normalised(work))[0]


def exceptional():
    """u = 0, and the u with Z^2 u^4 + Z u^2 = 0 if there are any: Z u^2 = -1."""
    values = [0, 1, twins.Q - 1, 2]
    square = -pow(11, -1, twins.Q) % twins.Q
    root = pow(square, (twins.Q + 1) // 4, twins.Q)
    return [*values, root] if root * root % twins.Q == square else values


@pytest.mark.parametrize("u", exceptional())
def test_exceptional_field_elements(u):
    """The map where it divides by zero, and equal or opposite halves of a sum."""
    for v in (u, -u % twins.Q, 5):
        total = multiply(add(map_to_curve_G1(FQ(u)), map_to_curve_G1(FQ(v))), H_EFF_G1)
        want = None if total[2] == 0 else from_py_ecc(total)
        assert map_pair(u, v) == want


def test_hashing_nothing():
    assert hash_to_curve.hash_to_g1([], DST).shape == (0, 12)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZKDL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(MODULE, "_known", {})
    return tmp_path / "cache"


def forget():
    MODULE._known.clear()


def files(cache):
    return sorted(cache.iterdir())


def test_generators_are_the_hash_of_tag_and_index(cache):
    points = generators(3, b"some tag")
    messages = [b"some tag" + k.to_bytes(8, "big") for k in range(3)]
    assert g1.equal(points, hash_to_curve.hash_to_g1(messages, MODULE.DST))
    assert MODULE.DST.endswith(b"BLS12381G1_XMD:SHA-256_SSWU_RO_")


def test_prefix_property_and_tags(cache):
    long = generators(40)
    forget()
    assert g1.equal(generators(10), long[:10])
    assert g1.equal(generators(40), long)
    forget()
    assert g1.equal(generators(55)[:40], long)
    other = generators(40, b"other")
    distinct = set(g1.to_bytes(long) + g1.to_bytes(other))
    assert len(distinct) == 80
    assert generators(0).shape == (0, 12)
    with pytest.raises(ValueError, match="n: "):
        generators(-1)


def test_the_caller_owns_the_array(cache):
    first = generators(4)
    kept = first.copy()
    first[:] = 0
    assert g1.equal(generators(4), kept)


def test_the_cache_is_used(cache, monkeypatch):
    points = generators(12)
    assert [path.suffix for path in files(cache)] == [".bin"]
    forget()
    monkeypatch.setattr(MODULE, "_compute", lambda *_: pytest.fail("computed again"))
    assert g1.equal(generators(12), points)
    assert g1.equal(generators(5), points[:5])


def damage(raw):
    """Every way to be wrong, by name."""
    flipped = bytearray(raw)
    flipped[len(raw) // 2] ^= 1
    body = raw[:-32]
    above = bytearray(body)
    above[-48:] = b"\xff" * 48
    return {
        "empty": b"",
        "cut": raw[:-1],
        "cut by a point": raw[:-96],
        "longer": raw + b"\0",
        "one bit": bytes(flipped),
        "another tag": raw.replace(b"zkdl/", b"zkdk/"),
        "not canonical, digest right": bytes(above) + hashlib.sha256(above).digest(),
        "no file format": b"x" * 500,
    }


def test_a_damaged_cache_is_rebuilt(cache):
    points = generators(6)
    (path,) = files(cache)
    good = path.read_bytes()
    for name, raw in damage(good).items():
        path.write_bytes(raw)
        forget()
        assert g1.equal(generators(6), points), name
        assert path.read_bytes() == good, name
        assert files(cache) == [path], name


def test_an_unwritable_cache_is_no_error(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_bytes(b"in the way")
    monkeypatch.setenv("ZKDL_CACHE_DIR", str(blocked / "below"))
    monkeypatch.setattr(MODULE, "_known", {})
    assert generators(2).shape == (2, 12)


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("ZKDL_CACHE_DIR", str(tmp_path))
    assert MODULE.cache_directory() == tmp_path
    monkeypatch.delenv("ZKDL_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert MODULE.cache_directory() == tmp_path / "x" / "zkdl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert MODULE.cache_directory().name == "zkdl"
