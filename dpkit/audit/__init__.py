"""Audits: what an adversary can prove from outputs, brute-force sensitivities, leaks of exact data."""

from dpkit.audit.attack import AuditReport, Mechanism, audit
from dpkit.audit.kde import kde_mechanism, neighbour_pairs, tight_records
from dpkit.audit.leaks import find_leaks, repeated_noise
from dpkit.audit.sensitivity import Sensitivity, brute_force_sensitivity
from dpkit.audit.statistics import clopper_pearson, epsilon_lower_bound, rho_lower_bound

__all__ = [
    "AuditReport",
    "Mechanism",
    "Sensitivity",
    "audit",
    "brute_force_sensitivity",
    "clopper_pearson",
    "epsilon_lower_bound",
    "find_leaks",
    "kde_mechanism",
    "neighbour_pairs",
    "repeated_noise",
    "rho_lower_bound",
    "tight_records",
]
