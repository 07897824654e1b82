"""The one finder of groups: which channels of a network belong together, by running it."""
