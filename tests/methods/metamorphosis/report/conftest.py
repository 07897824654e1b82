"""Fixtures of the tests of the width report."""

import pytest

from neumeta.methods.metamorphosis.report.page import build_report
from neumeta.report.blocks import Report
from tests.methods.metamorphosis.report.samples import digits_like, inputs_of


@pytest.fixture(scope="session")
def digits_report() -> Report:
    """The report of a digits-like experiment, built once."""
    return build_report(inputs_of(digits_like()))
