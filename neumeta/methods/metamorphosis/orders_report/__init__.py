"""The report of the study of orders: what smoothing the channels gains, and how far it could go."""

import neumeta.report  # noqa: F401  # before matplotlib, which it imports in its own way
