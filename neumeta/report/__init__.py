"""A kit for reports: blocks in, one self-contained page out. Knows no method."""
