"""Training by recipes: examples, optimisers, rates, and the base network."""
