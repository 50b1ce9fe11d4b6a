"""Compiled loops of the counters: integers in, integers out; the slow twins are the engines' own `step`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from dpkit.noise.kernels import _multiply, _multiply_high_signed


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


@njit(cache=True, nogil=True)
def blt_step(x: Any, z: Any, integers: Any, floats: Any, p: Any, q: Any, unit: Any) -> Any:
    """Run one step of the rational counter and return the decoded element, noise and all.

    Args:
        x, z: element and noise.
        integers: (5, m) int64, rows omega, factor, keep, states (updated), and one that is not used here.
        floats: (3, m), rows poles, weights, mirror; the last is updated.
        p, q, unit: of the encoder.
    """
    m = integers.shape[1]
    carried = np.int64(0)
    past = 0.0
    for j in range(m):
        carried += integers[3, j]
        past += floats[2, j]
    element = np.float64((x << p) + (carried >> q) + z) * unit - past
    for j in range(m):
        v = integers[3, j] + integers[0, j] * x
        part = _multiply_high_signed(v, integers[1, j])
        integers[3, j] = v - part if integers[2, j] == 1 else part
        floats[2, j] = floats[0, j] * (floats[2, j] + floats[1, j] * element)
    return element


@njit(cache=True, nogil=True)
def blt_fill(
    xs: Any, out: Any, noise: Any, integers: Any, floats: Any, p: Any, q: Any, unit: Any, total: Any
) -> Any:
    """Run many steps of the rational counter; returns the sum of the decoded elements."""
    for i in range(xs.size):
        total += blt_step(xs[i], noise[i], integers, floats, p, q, unit)
        out[i] = total
    return total


@njit(cache=True, nogil=True)
def blt_step_wide(x: Any, z: Any, integers: Any, floats: Any, p: Any, q: Any, unit: Any) -> Any:
    """Run `blt_step` on states of 128 bits: rows 3 and 4 of `integers` are their low and high words."""
    m = integers.shape[1]
    low, high, past = np.uint64(0), np.int64(0), 0.0
    for j in range(m):
        word = np.uint64(integers[3, j])
        low += word
        high += integers[4, j] + np.int64(low < word)
        past += floats[2, j]
    carried = np.int64((np.uint64(high) << np.uint64(64 - q)) | (low >> np.uint64(q)))
    element = np.float64((x << p) + carried + z) * unit - past
    for j in range(m):
        factor = integers[1, j]
        word = np.uint64(integers[3, j])
        v_low = word + np.uint64(integers[0, j] * x)
        v_high = integers[4, j] + _multiply_high_signed(integers[0, j], x) + np.int64(v_low < word)
        inner = _multiply(v_low, np.uint64(factor))[0]
        part_low = inner + np.uint64(v_high * factor)
        part_high = _multiply_high_signed(v_high, factor) + np.int64(part_low < inner)
        if integers[2, j] == 1:
            integers[3, j] = np.int64(v_low - part_low)
            integers[4, j] = v_high - part_high - np.int64(v_low < part_low)
        else:
            integers[3, j] = np.int64(part_low)
            integers[4, j] = part_high
        floats[2, j] = floats[0, j] * (floats[2, j] + floats[1, j] * element)
    return element


@njit(cache=True, nogil=True)
def blt_fill_wide(
    xs: Any, out: Any, noise: Any, integers: Any, floats: Any, p: Any, q: Any, unit: Any, total: Any
) -> Any:
    """Run many steps of `blt_step_wide`; returns the sum of the decoded elements."""
    for i in range(xs.size):
        total += blt_step_wide(xs[i], noise[i], integers, floats, p, q, unit)
        out[i] = total
    return total
