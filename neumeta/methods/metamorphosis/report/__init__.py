"""The width report: what every width costs in accuracy, beside every control."""

import neumeta.report  # noqa: F401  # before matplotlib, which it imports in its own way
