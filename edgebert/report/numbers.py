"""Format figures for people."""

from __future__ import annotations

import math

THIN = "–"
UNITS = {"mb": "MB", "mhz": "MHz", "c": "°C", "us": "µs", "gmacs": "GMAC/s"}


def number(value: object) -> float | None:
    """A finite JSON number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def short(value: float, digits: int = 3) -> str:
    """A figure with this many significant digits, without an exponent; a whole number from 1,000 on."""
    rounded = float(f"{value:.{digits}g}")
    if rounded == 0:
        return "0"
    if abs(rounded) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{min(9, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"


def between(low: float, high: float, digits: int = 3) -> str:
    """Format an interval."""
    return f"{short(low, digits)}{THIN}{short(high, digits)}"


def times(value: float) -> str:
    """Format a ratio."""
    return f"{short(value)}×"


def share(value: float) -> str:
    """Format a share of 0 to 1 in percent."""
    return f"{100 * value:.1f}%"


def scaled(value: float, unit: str) -> str:
    """A large count with its unit prefix, such as `1.18 GMAC`."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{short(value / factor)} {prefix}{unit}"
    return f"{short(value)} {unit}"


def plain(value: object) -> str:
    """A JSON value on one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if (figure := number(value)) is not None:
        whole = isinstance(value, int) or abs(figure) >= 10000
        return f"{figure:.4g}" if not whole else f"{figure:,.0f}" if abs(figure) >= 10000 else str(value)
    if isinstance(value, dict):
        return ", ".join(f"{words(key)} {plain(held)}" for key, held in value.items() if held is not None)
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return "" if value is None else str(value)


def words(key: str) -> str:
    """A JSON key as words; its unit is unchanged."""
    *name, last = key.split("_")
    return " ".join([*name, UNITS.get(last, last) if name else last])


def shortened(text: str, longest: int = 24) -> str:
    """A name on one line, cut in the middle if it is too long."""
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    end = longest // 2
    return f"{text[: longest - end - 1]}…{text[-end:]}"
