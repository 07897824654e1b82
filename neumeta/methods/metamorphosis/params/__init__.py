"""The schema of this method's sections of params.yaml."""
