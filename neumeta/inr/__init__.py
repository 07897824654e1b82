"""Implicit neural representations (INRs): coordinates, their encoding, the network."""
