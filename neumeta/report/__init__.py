"""The report: facts in, text out. Knows nothing of torch, parameters files or stages."""

from neumeta.report.build import Report, build_report
from neumeta.report.facts import Dataset, Facts, Inr, StageRun, Variation, VariationGroup
from neumeta.report.overview import check_summary, render_overview

__all__ = [
    "Dataset",
    "Facts",
    "Inr",
    "Report",
    "StageRun",
    "Variation",
    "VariationGroup",
    "build_report",
    "check_summary",
    "render_overview",
]
