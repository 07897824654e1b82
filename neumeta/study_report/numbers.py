"""Numbers of a study as a reader sees them."""

import math

from neumeta.report.wording import DASH, MINUS, SPACE
from neumeta.study_report.facts import Spread


def decimal(value: float) -> str:
    """Write a total variation.

    Args:
        value: The number.

    Returns:
        Two decimals, with thin gaps between thousands.
    """
    return f"{value:,.2f}".replace(",", SPACE)


def signed(value: float, digits: int) -> str:
    """Write a difference in hundredths, without a unit.

    Args:
        value: A fraction.
        digits: Decimals.

    Returns:
        Such as `−3.7`, or `±0` where nothing is left of it.
    """
    text = f"{100 * value:+.{digits}f}"
    return "±0" if float(text) == 0 else text.replace("-", MINUS)


def share(value: float) -> str:
    """Write a change in per cent.

    Args:
        value: A fraction.

    Returns:
        Such as `−9.8 %`.
    """
    return f"{signed(value, 1)}{SPACE}%"


def at_most(value: float | None) -> str:
    """Write an upper limit in per cent, rounded up.

    Args:
        value: A fraction; None or NaN where there is no limit.

    Returns:
        Two decimals, or a dash.
    """
    if value is None or not math.isfinite(value):
        return DASH
    hundredths = math.ceil(round(1e4 * value, 6))  # what floats add above a limit is none of it
    return f"{hundredths / 100:.2f}{SPACE}%"


def spread_of(value: float, digits: int) -> str:
    """Write a standard deviation in hundredths.

    Args:
        value: A fraction; NaN where there is none.
        digits: Decimals.

    Returns:
        The number; empty for none and for one that is exactly zero.
    """
    return f"{100 * value:.{digits}f}" if math.isfinite(value) and value > 1e-12 else ""


def with_spread(value: Spread, digits: int) -> str:
    """Write a mean accuracy and its standard deviation in per cent.

    Args:
        value: Fractions.
        digits: Decimals.

    Returns:
        Such as `91.0 ± 0.1 %`.
    """
    text = f"{100 * value.mean:.{digits}f}"
    if math.isfinite(value.std):
        text += f" ± {100 * value.std:.{digits}f}"
    return f"{text}{SPACE}%"


def difference(value: Spread, digits: int) -> str:
    """Say how far accuracies lie above or below others, and whether seeds tell them apart.

    Args:
        value: Differences seed by seed, fractions.
        digits: Decimals.

    Returns:
        Such as `0.30 ± 0.10 points above`, or `level` where nothing is left of it.
    """
    text = f"{100 * abs(value.mean):.{digits}f}"
    if float(text) == 0:
        return "level"
    if math.isfinite(value.std):
        text += f" ± {100 * value.std:.{digits}f}"
    side = "above" if value.mean > 0 else "below"
    apart = "" if value.told_apart else ", not told apart"
    return f"{text}{SPACE}points {side}{apart}"
