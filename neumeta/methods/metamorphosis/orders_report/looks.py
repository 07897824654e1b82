"""How strategies are called, drawn and explained, and all other words of the page."""

from neumeta.report.texts import Texts

ORIGINAL, OURS = "original", "ours"
TEXTS = Texts("neumeta.methods.metamorphosis.orders_report")
STRATEGIES = TEXTS.looks("strategies")
