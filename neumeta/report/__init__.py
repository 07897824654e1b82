"""A kit for reports: blocks in, one self-contained page out. Knows no method."""

import neumeta.report._matplotlib  # noqa: F401  # before any other import of matplotlib
