"""The width report: what every width costs in accuracy, beside every control."""
