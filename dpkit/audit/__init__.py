"""Audits: what an adversary can prove from outputs, brute-force sensitivities, leaks of exact data."""

from dpkit.audit.adapters import adapt, continue_or_copy, continue_twice, shipped
from dpkit.audit.adversaries import (
    boundary,
    feedback,
    fixed,
    follower,
    patient,
    restart,
    standard_adversaries,
    tracing,
)
from dpkit.audit.attack import AuditReport, Mechanism, audit
from dpkit.audit.game import (
    Adversary,
    Challenge,
    Plays,
    Regular,
    Stop,
    StreamMechanism,
    Transcript,
    each,
    play,
    play_many,
)
from dpkit.audit.items import distinct_items, item_adversaries
from dpkit.audit.kde import kde_mechanism, neighbour_pairs, tight_records
from dpkit.audit.leaks import find_leaks, repeated_noise
from dpkit.audit.planted import BUGS, index_trap, planted
from dpkit.audit.reductions import (
    TraceReport,
    trace_maxsum,
    trace_sumselect,
    uncomposed_maxsum,
    uncomposed_sumselect,
)
from dpkit.audit.scores import STATISTICS
from dpkit.audit.sensitivity import Sensitivity, brute_force_sensitivity
from dpkit.audit.statistics import clopper_pearson, epsilon_lower_bound, mu_lower_bound, rho_lower_bound
from dpkit.audit.stream import Evidence, StreamReport, audit_stream

__all__ = [
    "BUGS",
    "STATISTICS",
    "Adversary",
    "AuditReport",
    "Challenge",
    "Evidence",
    "Mechanism",
    "Plays",
    "Regular",
    "Sensitivity",
    "Stop",
    "StreamMechanism",
    "StreamReport",
    "TraceReport",
    "Transcript",
    "adapt",
    "audit",
    "audit_stream",
    "boundary",
    "brute_force_sensitivity",
    "clopper_pearson",
    "continue_or_copy",
    "continue_twice",
    "distinct_items",
    "each",
    "epsilon_lower_bound",
    "feedback",
    "find_leaks",
    "fixed",
    "follower",
    "index_trap",
    "item_adversaries",
    "kde_mechanism",
    "mu_lower_bound",
    "neighbour_pairs",
    "patient",
    "planted",
    "play",
    "play_many",
    "repeated_noise",
    "restart",
    "rho_lower_bound",
    "shipped",
    "standard_adversaries",
    "tight_records",
    "trace_maxsum",
    "trace_sumselect",
    "tracing",
    "uncomposed_maxsum",
    "uncomposed_sumselect",
]
