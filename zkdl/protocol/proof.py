"""The proof file: magic, format version, settings, statement digest, sections.

Layout, all integers little-endian:

    8 bytes   magic "ZKDLPRF\\0"; that of the proof of a committed table is "ZKDLTAB\\0"
    2 bytes   format version
    1 byte    range argument (0: bits, 1: lookup)
    32 bytes  SHA-256 of the statement's canonical bytes
    per section, in the order of `Section`: 1 byte tag, 4 bytes length, content (a table has three sections)

The file's length is the proof size: nothing is compressed, cached or left to be asked for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from zkdl.errors import FormatError, ProofRejected, Reason
from zkdl.protocol.channel import Section
from zkdl.protocol.files import write_whole

MAGIC = b"ZKDLPRF\0"
FORMAT_VERSION = 3
RANGE_CODES = {"bits": 0, "lookup": 1}
MAX_PROOF_BYTES = 1 << 30
HEADER_BYTES = len(MAGIC) + 2 + 1 + 32
SECTION_HEADER_BYTES = 1 + 4
_TAGS = {section: k + 1 for k, section in enumerate(Section)}


@dataclass(frozen=True)
class Form:
    """What tells one kind of proof file from another.

    Args:
        name: what such a file proves.
        magic: its first 8 bytes.
        ranges: range arguments that it may use.
        sections: in the order in which they are written.
    """

    name: str
    magic: bytes
    ranges: tuple[str, ...]
    sections: tuple[Section, ...]


RUN_FORM = Form("a training run", MAGIC, tuple(RANGE_CODES), tuple(Section))
TABLE_FORM = Form(
    "a committed table",
    b"ZKDLTAB\0",
    ("lookup",),
    (Section.COMMITMENTS, Section.RANGES, Section.OPENING),
)
FORMS = (RUN_FORM, TABLE_FORM)


@dataclass(frozen=True)
class Proof:
    """A proof as bytes, with what the prover measured while making it.

    ``bytes(proof)`` and ``len(proof)`` are the file; ``phases`` maps a phase to seconds and is
    empty for a proof that was read from a file.
    """

    data: bytes
    phases: dict[str, float] = field(default_factory=dict, compare=False)

    def __bytes__(self) -> bytes:
        return self.data

    def __len__(self) -> int:
        return len(self.data)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the proof to ``path``: a temporary file, then a rename."""
        write_whole(path, self.data)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Proof:
        """Wrap bytes without judging them; the verifier does that."""
        return cls(bytes(data))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Proof:
        """Read a proof file.

        Raises:
            FormatError: the file cannot be read or is larger than any proof.
        """
        file = Path(path)
        try:
            size = file.stat().st_size
            if size > MAX_PROOF_BYTES:
                raise FormatError(f"{file}: {size} bytes, a proof has at most {MAX_PROOF_BYTES}")
            return cls(file.read_bytes())
        except OSError as error:
            raise FormatError(f"{file}: cannot be read: {error.strerror or error}") from None


@dataclass(frozen=True)
class Envelope:
    """A proof taken apart."""

    ranges: str
    statement_digest: bytes
    sections: dict[Section, bytes]


def encode(
    ranges: str, statement_digest: bytes, sections: dict[Section, bytes], form: Form = RUN_FORM
) -> bytes:
    """Assemble a proof file."""
    out = bytearray(form.magic + FORMAT_VERSION.to_bytes(2, "little") + bytes([RANGE_CODES[ranges]]))
    out += statement_digest
    for section in form.sections:
        content = sections.get(section, b"")
        out += bytes([_TAGS[section]]) + len(content).to_bytes(4, "little") + content
    return bytes(out)


def decode(data: bytes, form: Form = RUN_FORM) -> Envelope:
    """Take a proof file apart, strictly.

    Raises:
        ProofRejected: wrong magic or version, unknown range argument, a section missing, repeated
            or out of order, bytes missing or left over.
    """
    if data[: len(form.magic)] != form.magic[: len(data)] or not data:
        other = next((known for known in FORMS if data.startswith(known.magic)), None)
        found = "this is no proof file of zkdl" if other is None else f"this is one of {other.name}"
        raise ProofRejected(Reason.BAD_MAGIC, f"expected a proof of {form.name}, {found}")
    if len(data) < HEADER_BYTES:
        raise ProofRejected(Reason.TRUNCATED, f"the file ends within its header, after {len(data)} bytes")
    version = int.from_bytes(data[8:10], "little")
    if version != FORMAT_VERSION:
        raise ProofRejected(Reason.VERSION, f"format version {version}, this verifier reads {FORMAT_VERSION}")
    names = {RANGE_CODES[name]: name for name in form.ranges}
    if data[10] not in names:
        raise ProofRejected(Reason.BACKEND, f"range argument {data[10]} is unknown")
    at, sections = HEADER_BYTES, {}
    for section in form.sections:
        if at + 5 > len(data):
            raise ProofRejected(Reason.TRUNCATED, f"the file ends before section {section}")
        if data[at] != _TAGS[section]:
            raise ProofRejected(
                Reason.SECTION, f"section tag {data[at]} where {_TAGS[section]} ({section}) is expected"
            )
        end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "little")
        if end > len(data):
            raise ProofRejected(
                Reason.TRUNCATED, f"section {section} needs {end} bytes, the file has {len(data)}"
            )
        sections[section] = data[at + 5 : end]
        at = end
    if at != len(data):
        raise ProofRejected(Reason.TRAILING_BYTES, f"{len(data) - at} bytes after the last section")
    return Envelope(names[data[10]], data[11:43], sections)


def describe(data: bytes) -> dict[str, object]:
    """What a proof file says of itself, without a statement: for ``zkdl inspect``.

    Raises:
        ProofRejected: the file is not a well-formed proof.
    """
    form = TABLE_FORM if data.startswith(TABLE_FORM.magic) else RUN_FORM
    envelope = decode(data, form)
    return {
        **({"proves": form.name} if form is not RUN_FORM else {}),
        "format_version": FORMAT_VERSION,
        "bytes": len(data),
        "ranges": envelope.ranges,
        "statement_digest": envelope.statement_digest.hex(),
        "sections": {str(name): len(content) for name, content in envelope.sections.items()},
    }
