"""The implicit neural representation (INR): from coordinates to weights, and its training."""
