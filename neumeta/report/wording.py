"""Numbers and sentences as a reader sees them."""

import math

SPACE = "\u202f"  # narrow, no break
DASH = "–"
MINUS = "−"


def percent(fraction: float | None, digits: int = 1) -> str:
    """Write a fraction as per cent.

    Args:
        fraction: 0 to 1, or None or NaN where nothing was measured.
        digits: Decimals.

    Returns:
        Such as `97.8 %`, or a dash.
    """
    if fraction is None or not math.isfinite(fraction):
        return DASH
    return f"{100 * fraction:.{digits}f}{SPACE}%"


def points(difference: float, digits: int = 1) -> str:
    """Write a difference of accuracies in percentage points, without sign.

    Args:
        difference: As a fraction.
        digits: Decimals.

    Returns:
        Such as `1.2 points`.
    """
    text = f"{100 * abs(difference):.{digits}f}"
    return f"{text}{SPACE}{'point' if float(text) == 1 else 'points'}"


def count(value: int | float) -> str:
    """Write a large number short.

    Args:
        value: Zero or more.

    Returns:
        Three significant digits with k, M or G, such as `64.9k`; a dash for NaN.
    """
    if not math.isfinite(value):
        return DASH
    for limit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * limit:
            return f"{float(f'{value / limit:.3g}'):g}{sign}"
    return f"{value:.0f}"


def whole(value: int | float) -> str:
    """Write a whole number with thin gaps between thousands.

    Args:
        value: The number, rounded to the next integer.

    Returns:
        Such as `64 906`; a dash for NaN.
    """
    return f"{value:,.0f}".replace(",", SPACE) if math.isfinite(value) else DASH


def change(before: int | float, after: int | float) -> str:
    """Write a relative change.

    Args:
        before: The earlier value.
        after: The later value.

    Returns:
        Such as `−23.3 %`; a dash where `before` is not positive.
    """
    if not before > 0 or not math.isfinite(after):
        return DASH
    text = f"{100 * (after / before - 1):+.1f}"
    if float(text) == 0:
        return f"0{SPACE}%"
    return f"{text.replace('-', MINUS)}{SPACE}%"


def duration(seconds: int | float) -> str:
    """Write a time.

    Args:
        seconds: Wall time.

    Returns:
        Such as `4.2 s`, `1 min 12 s` or `2 h 05 min`; a dash for NaN.
    """
    if not math.isfinite(seconds):
        return DASH
    if seconds < 59.95:
        return f"{seconds:.1f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{SPACE}min {rest}{SPACE}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{SPACE}h {minutes:02d}{SPACE}min"


def standard_error(accuracy: float, size: int) -> float:
    """Compute the binomial standard error of a measured accuracy.

    Args:
        accuracy: Fraction 0 to 1.
        size: Number of test examples.

    Returns:
        A fraction.
    """
    return math.sqrt(max(accuracy * (1 - accuracy), 0.0) / size)


def digits_for(size: int | None) -> int:
    """Choose decimals of a per cent that the test set can carry.

    Args:
        size: Number of test examples, or None where unknown.

    Returns:
        1, or 2 from 5,000 examples on.
    """
    return 2 if size is not None and size >= 5000 else 1
