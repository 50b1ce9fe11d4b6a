"""Compiled loops of the counters: integers in, integers out; the slow twins are the engines' own `step`."""

from __future__ import annotations

from typing import Any

import numpy as np

from dpkit._compiled import njit


@njit(cache=True, nogil=True)
def grid_units(values: Any, out: Any, low: Any, high: Any, nan_point: Any, scale: Any) -> None:
    """Clip numbers to [low, high], NaN to nan_point, and round them times scale to nearest, ties to even."""
    for i in range(values.size):
        x = values[i]
        if not low <= x <= high:
            x = low if x < low else high if x > high else nan_point
        out[i] = np.int64(np.rint(x * scale))


@njit(cache=True, nogil=True)
def binary_fill(xs: Any, out: Any, noise: Any, live: Any, t: Any, total: Any, now: Any) -> Any:
    """Run the binary tree; `live` holds the noise of each set bit of t. Returns (t, total, now)."""
    for i in range(xs.size):
        t += 1
        total += xs[i]
        level = 0
        while (t >> level) & 1 == 0:
            now -= live[level]
            live[level] = 0
            level += 1
        live[level] = noise[i]
        now += noise[i]
        out[i] = total + now
    return t, total, now


@njit(cache=True, nogil=True)
def honaker_fill(xs: Any, out: Any, noise: Any, sums: Any, estimates: Any, weights: Any, t: Any) -> Any:
    """Run the tree estimated from below: exact node sums, float estimates of the noisy nodes. Returns t."""
    used = 0
    for i in range(xs.size):
        t += 1
        node = xs[i]
        estimate = np.float64(node + noise[used])
        used += 1
        level = 0
        while (t >> level) & 1 == 0:
            node += sums[level]
            children = estimate + estimates[level]
            sums[level] = 0
            estimates[level] = 0.0
            level += 1
            noisy = np.float64(node + noise[used])
            used += 1
            estimate = weights[level] * noisy + (1.0 - weights[level]) * children
        sums[level] = node
        estimates[level] = estimate
        answer = 0.0
        for h in range(estimates.size):
            answer += estimates[h]
        out[i] = answer
    return t


@njit(cache=True, nogil=True)
def smooth_draws(word: Any, steps: Any) -> Any:
    """Return how many draws the smooth tree needs for so many steps from this word."""
    draws = 0
    for _ in range(steps):
        low = word & -word
        carried = word + low
        top = carried & -carried
        span = top // low
        while span > 1:
            draws += 1
            span >>= 1
        word = carried + top // (2 * low) - 1
    return draws


@njit(cache=True, nogil=True)
def smooth_fill(xs: Any, out: Any, noise: Any, live: Any, word: Any, total: Any, now: Any) -> Any:
    """Run the smooth tree; `live` holds the noise of each set bit of the word. Returns (word, total, now)."""
    used = 0
    for i in range(xs.size):
        total += xs[i]
        low = word & -word
        carried = word + low
        position = 0
        while (word >> position) & 1 == 0:
            position += 1
        run = 0
        while (word >> position) & 1 == 1:
            now -= live[position]
            live[position] = 0
            position += 1
            run += 1
        word = carried + (carried & -carried) // (2 * low) - 1
        live[position] = noise[used]
        now += noise[used]
        used += 1
        for j in range(run - 1):
            live[j] = noise[used]
            now += noise[used]
            used += 1
        out[i] = total + now
    return word, total, now


@njit(cache=True, nogil=True)
def kary_draws(digits: Any, half: Any, steps: Any) -> Any:
    """Return how many draws the balanced tree needs for so many steps from these digits (a copy)."""
    draws = 0
    for _ in range(steps):
        level = 0
        while digits[level] == half:
            digits[level] = -half
            draws += half
            level += 1
        if digits[level] >= 0:
            draws += 1
        digits[level] += 1
    return draws


@njit(cache=True, nogil=True)
def kary_fill(xs: Any, out: Any, noise: Any, digits: Any, stacks: Any, total: Any, now: Any) -> Any:
    """Run the balanced tree; stacks[i, :|digits[i]|] is the noise of level i. Returns (total, now)."""
    used = 0
    half = stacks.shape[1]
    for i in range(xs.size):
        total += xs[i]
        level = 0
        while digits[level] == half:
            for j in range(half):
                now -= stacks[level, j]
            for j in range(half):
                stacks[level, j] = noise[used]
                now -= noise[used]
                used += 1
            digits[level] = -half
            level += 1
        d = digits[level]
        if d < 0:
            now += stacks[level, -d - 1]
            stacks[level, -d - 1] = 0
        else:
            stacks[level, d] = noise[used]
            now += noise[used]
            used += 1
        digits[level] = d + 1
        out[i] = total + now
    return total, now
