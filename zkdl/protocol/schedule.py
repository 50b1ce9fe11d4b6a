"""The whole protocol, once: who says what, when, for one proof of all steps."""

from __future__ import annotations

from zkdl.protocol.channel import Channel, Section
from zkdl.protocol.claims import Claims
from zkdl.protocol.instance import Instance
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.lookup import range_lookup
from zkdl.protocol.matmul import matmul
from zkdl.protocol.opening import opening
from zkdl.protocol.ranges import range_bits
from zkdl.protocol.update import update
from zkdl.protocol.work import Work
from zkdl.protocol.zkrelu import zkrelu

PROTOCOL = b"zkdl/3"


def run(ch: Channel, instance: Instance, work: Work | None) -> None:
    """Walk the schedule from the statement to the last opening.

    The prover calls it with its work, the verifier with None; both then have drawn the same
    challenges in the same order.

    *Transcript*: the statement's canonical bytes and the name of the range argument come before
    anything else; then commitments to the cells and to bits or multiplicities; then the arguments
    in the order of `Section`, with their messages in one ledger, which the opening settles.
    """
    ch.absorb("statement", instance.statement.canonical_bytes())
    ch.absorb("ranges", instance.ranges.encode())
    ch.section(Section.COMMITMENTS)
    rows = {name: ch.known_rows(name) for name in instance.known}
    for poly in ("cells", instance.range_poly):
        count = len(instance.stack(poly).live_rows)
        rows[poly] = ch.rows(poly, count, lambda poly=poly: work.rows(poly))  # type: ignore[union-attr,misc]
    claims, ledger = Claims(), Ledger(ch)
    products = matmul(ledger, instance, claims, work)
    updates = update(ledger, instance, claims, products, work)
    zkrelu(ledger, instance, claims, updates, work)
    argument = range_bits if instance.ranges == "bits" else range_lookup
    argument(ledger, instance, claims, work)
    opening(ledger, instance, claims, rows, work)
