"""The gate for changes of code: results survive those that are proven to change nothing."""
