"""Comparing orders of channels: their total variation, and the INRs trained from them."""
