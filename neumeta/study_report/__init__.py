"""The report of a study of orders: facts in, text out, in the look of `neumeta.report`."""

from neumeta.study_report.build import build_study_report
from neumeta.study_report.facts import GroupOrders, InrScore, NetworkOrders, StudyFacts, StudyInrs

__all__ = [
    "GroupOrders",
    "InrScore",
    "NetworkOrders",
    "StudyFacts",
    "StudyInrs",
    "build_study_report",
]
