"""Families of any network: its groups are traced, and its layers are resized in place."""
