"""Kernels, build and convex sums on the report: numbers beside their bars, missing ones leave gaps."""

import json

import pytest

from benchmarks._report import sums
from benchmarks._report.privacy import similarity
from dpkit._page import percent_text

KERNELS = [
    {
        "kernel": "inverse_l2", "asked": "auto", "structure": "hash", "features": 1979,
        "mean_relative_error": 0.0123, "worst_release": 0.0345, "draws": 2, "build_cpu_seconds": 2.1,
        "query_cpu_us": 803.7,
    },
    {"kernel": "laplacian", "asked": "fourier", "structure": "fourier", "mean_relative_error": 0.0567},
]  # fmt: skip
BUILD = {
    "records": 100_000, "d": 128, "features": 5000, "cpu_seconds": 9.25, "wall_seconds": 5.5,
    "numpy_cpu_seconds": 31.5, "numpy_wall_seconds": 17.5, "speedup_cpu": 3.41, "speedup_wall": 3.18,
    "peak_mib_above_data": 12.0,
}  # fmt: skip
CONVEX = [
    {"neighbours": name, "records": n, "epsilon": 0.1, "draws": 4, "rmse_ratio": 0.5, "largest_ratio": 0.25}
    for name in ("add-remove", "replace")
    for n in (200, 1000)
]


def page(result):
    return "".join(str(part) for part in similarity(json.loads(json.dumps(result))))


def test_all_three_have_a_figure_with_their_numbers():
    shown = page({"kernels": KERNELS, "build": BUILD, "convex": CONVEX})
    assert shown.count("<figure") == shown.count('class="plot"') == 3
    for text in ("inverse l2, counters, chosen", "laplacian, frequencies", percent_text(0.0123), "1,979"):
        assert text in shown
    for text in ("9.25 s", "31.5 s", "3.41", "peak mib above data", "100,000 records"):
        assert text in shown
    assert "replace, ε = 0.1" in shown
    assert "kernels" not in shown.replace("kernels-", "")  # nothing fell through to the plain tables


def test_several_sizes_of_the_build():
    shown = "".join(map(str, sums.build([BUILD, {**BUILD, "records": 1_000_000, "extra_mib": 7.5}])))
    for text in ("100,000 records", "1,000,000 records", "extra mib", "7.5"):
        assert text in shown


@pytest.mark.parametrize("found", [None, [], {}, [{}]])
def test_what_was_not_measured_is_not_shown(found):
    assert list(sums.build(found)) == []
    assert page({"kernels": [], "convex": [], "build": found}) == page({})


def test_other_keys_are_tables_all_the_same():
    assert "4.5" in "".join(map(str, sums.build({"rate": 4.5})))
    assert "4.5" in "".join(map(str, sums.convex([{"rate": 4.5}])))
