"""The stages of Neural Metamorphosis."""
