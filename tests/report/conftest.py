"""Fixtures of the report tests."""

import pytest

from neumeta.report import Report, build_report
from tests.report.samples import digits_like, facts_of


@pytest.fixture(scope="session")
def digits_report() -> Report:
    """The report of a digits-like experiment, built once."""
    return build_report(facts_of(digits_like()))
