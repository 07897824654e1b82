"""Measuring: accuracies, costs, controls, and the table of results."""
