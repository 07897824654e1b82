"""The stages of the pipeline; name = section of params.yaml = entry of dvc.yaml."""
