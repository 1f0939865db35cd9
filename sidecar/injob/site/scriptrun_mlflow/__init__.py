"""MLflow's view of the records in docs/metrics.md: a store that writes them in a job, and one that reads them.

`plugin` is all that `import mlflow` loads; the rest comes with the first call. Any Python from 3.8, MLflow from 2.9.
"""
