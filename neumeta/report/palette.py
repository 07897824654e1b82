"""The colours of every figure and page, as hex values on white paper and on the dark page."""

# Figures are drawn with the light values; on the page each becomes a CSS variable of that name.
# The light values must differ from each other, because they are how the page finds them.
PALETTE = {
    "paper": ("#fffffe", "#191d22"),
    "ink": ("#1b2026", "#ebe9e4"),
    "muted": ("#56606b", "#a9b1bb"),
    "grid": ("#e2e0da", "#313840"),
    "tint": ("#e6eff8", "#1d2c3b"),
    "blue": ("#0a5fa5", "#62b4ff"),
    "sky": ("#2b8cbe", "#8fd3f4"),
    "orange": ("#c84e00", "#ff9f57"),
    "purple": ("#8a4ba0", "#d3a0e6"),
    "green": ("#00785a", "#3fcf9f"),
    "olive": ("#857200", "#d8c84a"),
    "grey": ("#737373", "#9a9fa6"),
    "rose": ("#b22c66", "#ff8fb8"),
    "indigo": ("#4b45c4", "#a5a2ff"),
    "brown": ("#7a4a1e", "#d6a878"),
    "teal": ("#00707a", "#4fd0da"),
    "gold": ("#a06800", "#f2c063"),
    "red": ("#d0202e", "#ff8080"),
}


def light(name: str) -> str:
    """Look up the hex colour that a figure is drawn with, by its name."""
    return PALETTE[name][0]


def css_variables(dark: bool) -> str:
    """Write the palette of the light or of the dark page as CSS declarations."""
    return " ".join(f"--{name}: {shades[dark]};" for name, shades in PALETTE.items())
