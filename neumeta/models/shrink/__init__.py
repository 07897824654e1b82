"""A trained network at a smaller width without training: choose channels, make up for the rest."""
