"""The names of Azure ML v1 on the submitting side: `azureml.core` and its kind, which are `runner.sdk`."""
