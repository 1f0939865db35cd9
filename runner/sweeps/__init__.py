"""Sweeps: many runs of one script with different hyperparameters (HyperDrive; reference azureml-v1.md 1.8)."""
