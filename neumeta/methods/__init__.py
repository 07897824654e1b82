"""The methods, one package each; none imports another."""
