"""In the style of using-environments/example.py: no azureml in it."""

import os

print("Environment variables set for the run")
print("MESSAGE", os.environ.get("MESSAGE"), os.environ.get("OTHER"))
