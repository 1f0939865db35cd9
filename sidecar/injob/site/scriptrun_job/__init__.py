"""The runner's code inside a job: standard library only, any Python from 3.8, shipped as this folder alone."""
