"""Channel orders that make weights smooth."""
