"""A live counter with error bands: visits to a clinic, minute by minute, private at every minute.

The counter does not know how long it will run. Every number it shows may be published at once, and the whole
stream of them together keeps the promise; its error is known beforehand, and shown beside the number.
"""

import numpy as np
from _pictures import Axis, Gallery, Series

import dpkit

picture = Gallery(__file__, __doc__)
DAY = 24 * 60
rng = np.random.default_rng(2)
minutes = np.arange(14 * DAY)
rate = 0.1 + 0.08 * np.sin((minutes % DAY / 60 - 8) * np.pi / 12) + 0.05 * (minutes > 9 * DAY)  # an outbreak
visits = (rng.random(len(minutes)) < rate).astype(float)

# What is protected is one visit: whether somebody came in some minute, 1, or nobody did, 0.
total = dpkit.Counter(rho=0.25)
recent = dpkit.Counter(rho=0.25, window=DAY)
print(f"{total.guarantee} each, {total.guarantee + recent.guarantee} together")
print(f"\n{'day':>4} {'total so far':>16} {'true':>7} {'last 24 hours':>18} {'true':>6}")

inside, shown = 0, []
for day in range(14):
    rows = slice(day * DAY, (day + 1) * DAY)
    sums, last = total.steps(visits[rows]), recent.steps(visits[rows])  # or .step(x), one by one
    end, true = (day + 1) * DAY, visits.cumsum()[rows]
    band = [2 * counter.prediction(end).worst_std for counter in (total, recent)]
    inside += int((np.abs(sums - true) <= band[0]).sum())
    shown.append((last[-1], band[1], visits[rows].sum()))
    print(
        f"{day + 1:4} {sums[-1]:9,.0f} ± {band[0]:4,.0f} {true[-1]:7,.0f} {last[-1]:11,.0f} ± {band[1]:4,.0f}"
        f" {visits[rows].sum():6,.0f}  {'#' * max(0, round(last[-1] / 6))}"
    )
days, (value, reach, real) = range(1, 15), np.transpose(shown)
band = (value - reach).tolist(), (value + reach).tolist()
noisy = Series("private, ± two deviations", days, value, *band)
exact = Series("true", days, real, kind="points")
picture.lines("Visits in the last 24 hours", [noisy, exact], Axis("day"), Axis("visits", zero=True))
print(f"\n{inside / len(visits):.1%} of {len(visits):,} running totals within two standard deviations")
