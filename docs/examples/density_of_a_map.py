"""A private density of a map: where people live, drawn from one release of noisy sums.

Homes of a made-up city, 40,000 of them, three quarters and a river that nobody lives in. The release may be
published; whoever has it can draw the map at any resolution without asking again.
"""

import numpy as np
from _pictures import Gallery

import dpkit

picture = Gallery(__file__, __doc__)
rng = np.random.default_rng(1)
quarters = np.array([[2.0, 6.5], [6.5, 7.0], [5.5, 2.5]])  # kilometres
homes = quarters[rng.choice(3, size=60_000, p=[0.5, 0.2, 0.3])] + rng.normal(size=(60_000, 2)) * 0.9
river = np.abs(homes[:, 1] - 4.6 - 0.4 * np.sin(homes[:, 0])) < 0.35
homes = homes[~river][:40_000]

private = dpkit.KDE(homes, bandwidth=0.6, epsilon=1.0, bounds=(0, 9))
print(private.guarantee)

columns, rows = np.linspace(0.2, 8.8, 44), np.linspace(8.8, 0.2, 22)
places = np.stack([axis.ravel() for axis in np.meshgrid(columns, rows)], axis=1)
values, std = private.query(places, return_std=True)
exact = dpkit.exact.kernel_sum(homes, places, "gaussian", 0.6)


def draw(sums):
    """Print sums as a map: the denser, the darker."""
    shades = " .:-=+*#%@"
    levels = np.clip(sums / exact.max() * len(shades), 0, len(shades) - 1).astype(int)
    for row in levels.reshape(len(rows), len(columns)):
        print("  " + "".join(shades[level] for level in row))


print(f"\nprivate, at {len(places)} places from one release ({len(private.to_bytes()):,} bytes)")
draw(values)
print("\nexact, which could not be published")
draw(exact)
grid = {"private": values, "exact, not published": exact}
shares = {name: (sums / exact.max()).reshape(len(rows), len(columns)) for name, sums in grid.items()}
picture.maps("Where people live, ε = 1", shares)
within = np.mean(np.abs(values - exact) < 2 * std)
print(f"\nlargest error {np.abs(values - exact).max():,.0f} of {exact.max():,.0f} at the densest place;")
print(f"{within:.0%} of the places lie within two of the standard errors that the release itself gives")
