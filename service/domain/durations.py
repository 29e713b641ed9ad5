"""Durations: how their lengths are kept, and percentiles of them (SPEC section 4): exact, or within 1 %.

A length falls into a bucket of a logarithmic histogram, as DDSketch has it (Masson, Rim, Lee: "DDSketch", VLDB 2019): buckets add
up and can be taken back like any count, and the middle of a bucket is within 1 % of everything in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, log
from typing import Any

SHARES = (Fraction(1, 2), Fraction(9, 10))
EXACT_BELOW = 1000  # samples: percentiles are exact below, within 1 % from here on

_ERROR = 0.01
_GAMMA = (1 + _ERROR) / (1 - _ERROR)
_LOG_GAMMA = log(_GAMMA)


@lru_cache(maxsize=4_096)
def bucket_of(micros: int) -> int:
    """Return the histogram bucket of a duration; 0 holds durations of nothing."""
    return 1 + ceil(log(micros) / _LOG_GAMMA) if micros > 0 else 0


def middle_of(bucket: int) -> Fraction:
    """Return the length in microseconds that is within 1 % of everything in a bucket."""
    return Fraction(2 * _GAMMA ** (bucket - 1) / (_GAMMA + 1)) if bucket else Fraction(0)


def percentile(samples: Mapping[Any, int], share: Fraction) -> Fraction:
    """Return the percentile of {length: how often}, interpolated linearly at share·(n−1)."""
    lengths = sorted(samples)
    at = share * (sum(samples.values()) - 1)
    low, high = _nth(lengths, samples, floor(at)), _nth(lengths, samples, ceil(at))
    return low + (high - low) * (at - floor(at))


def _nth(lengths: list[Any], samples: Mapping[Any, int], rank: int) -> Fraction:
    passed = 0
    for length in lengths:
        passed += samples[length]
        if passed > rank:
            return Fraction(length)
    raise ValueError("no samples")
