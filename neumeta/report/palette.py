"""The colours of every figure and page: one table, a light and a dark value for each name."""

from typing import NamedTuple


class Shade(NamedTuple):
    """One colour in both modes.

    Attributes:
        light: Hex colour on white paper.
        dark: Hex colour on the dark page.
    """

    light: str
    dark: str


# Figures are drawn with the light values; on the page each becomes a CSS variable of that name.
# The light values must differ from each other, because they are how the page finds them.
PALETTE: dict[str, Shade] = {
    "paper": Shade("#fffffe", "#191d22"),
    "ink": Shade("#1b2026", "#ebe9e4"),
    "muted": Shade("#56606b", "#a9b1bb"),
    "grid": Shade("#e2e0da", "#313840"),
    "tint": Shade("#e6eff8", "#1d2c3b"),
    "blue": Shade("#0a5fa5", "#62b4ff"),
    "sky": Shade("#2b8cbe", "#8fd3f4"),
    "orange": Shade("#c84e00", "#ff9f57"),
    "purple": Shade("#8a4ba0", "#d3a0e6"),
    "green": Shade("#00785a", "#3fcf9f"),
    "olive": Shade("#857200", "#d8c84a"),
    "grey": Shade("#737373", "#9a9fa6"),
    "rose": Shade("#b22c66", "#ff8fb8"),
    "indigo": Shade("#4b45c4", "#a5a2ff"),
    "brown": Shade("#7a4a1e", "#d6a878"),
    "teal": Shade("#00707a", "#4fd0da"),
    "gold": Shade("#a06800", "#f2c063"),
    "red": Shade("#d0202e", "#ff8080"),
}


def light(name: str) -> str:
    """Look up the colour a figure is drawn with.

    Args:
        name: A key of `PALETTE`.

    Returns:
        A hex colour.
    """
    return PALETTE[name].light


def css_variables(mode: str) -> str:
    """Write the palette as CSS declarations.

    Args:
        mode: `light` or `dark`.

    Returns:
        Text such as `--ink: #1b2026; --muted: ...`.
    """
    return " ".join(f"--{name}: {getattr(shade, mode)};" for name, shade in PALETTE.items())
