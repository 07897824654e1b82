"""Numbers as a reader sees them; a dash stands where nothing was measured."""

import math
from collections.abc import Iterable
from typing import SupportsFloat

SPACE = "\u202f"  # narrow, no break
DASH = "–"
MINUS = "−"
SPLITS = {"val": "validation", "test": "test"}  # words by name of a split


def percent(fraction: float | None, digits: int = 1) -> str:
    """Write a fraction as per cent, such as `97.8 %`."""
    if fraction is None or not math.isfinite(fraction):
        return DASH
    return f"{100 * fraction:.{digits}f}{SPACE}%"


def points(difference: float, digits: int = 1) -> str:
    """Write a difference of two fractions without its sign, such as `1.2 points`."""
    text = f"{100 * abs(difference):.{digits}f}"
    return f"{text}{SPACE}{'point' if float(text) == 1 else 'points'}"


def beside(lag: float, digits: int = 1) -> str:
    """Say how far something lies below another, such as `1.2 points below`, or `equal`."""
    if round(100 * abs(lag), digits) == 0:
        return "equal"
    return f"{points(lag, digits)} {'below' if lag > 0 else 'above'}"


def hundredths(value: float, digits: int, plus: bool = False) -> str:
    """Write a fraction in hundredths, such as `−0.12`, or `+0.12` as a difference; NaN is empty."""
    if not math.isfinite(value):
        return ""
    text = f"{100 * value:{'+' if plus else ''}.{digits}f}"
    if float(text) == 0:
        return "±0" if plus else f"{0:.{digits}f}"
    return text.replace("-", MINUS)


def change(before: int | float, after: int | float) -> str:
    """Write a relative change, such as `−23.3 %`; a dash where `before` is not positive."""
    if not before > 0 or not math.isfinite(after):
        return DASH
    return f"{hundredths(after / before - 1, 1, plus=True).replace('±', '')}{SPACE}%"


def count(value: int | float) -> str:
    """Write a large number short: three significant digits with k, M or G, such as `64.9k`."""
    if not math.isfinite(value):
        return DASH
    for limit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * limit:
            return f"{float(f'{value / limit:.3g}'):g}{sign}"
    return f"{value:.0f}"


def whole(value: SupportsFloat, digits: int = 0) -> str:
    """Write a number with thin gaps between thousands, such as `64 906`."""
    return f"{value:,.{digits}f}".replace(",", SPACE) if math.isfinite(value) else DASH


def duration(seconds: int | float) -> str:
    """Write a time, such as `4.2 s`, `1 min 12 s` or `2 h 05 min`."""
    if not math.isfinite(seconds):
        return DASH
    if seconds < 59.95:
        return f"{seconds:.1f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{SPACE}min {rest}{SPACE}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{SPACE}h {minutes:02d}{SPACE}min"


def several(number: int, word: str) -> str:
    """Write a number of things, such as `1 seed` or `3 seeds`."""
    return f"{whole(number)} {word}{'' if number == 1 else 's'}"


def span(numbers: Iterable[SupportsFloat]) -> str:
    """Write the least and the greatest of some whole numbers, such as `3` or `1 to 3`."""
    ordered = sorted(int(float(number)) for number in numbers)
    return " to ".join(str(number) for number in dict.fromkeys((ordered[0], ordered[-1])))


def digits_for(size: int | None) -> int:
    """Choose the decimals of a per cent that a test set can carry: 2 from 5,000 examples on."""
    return 2 if size is not None and size >= 5000 else 1
