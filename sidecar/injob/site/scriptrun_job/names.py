"""Environment-variable names, repeated from sidecar.contract.settings because this folder is shipped alone.

A test holds the two lists together.
"""

RUN_ROOT = "RUNNER_RUN_ROOT"
PROCESS_NAME = "RUNNER_PROCESS_NAME"
METRICS_FILE = "RUNNER_METRICS_FILE"
SYSTEM_LOG_FILE = "RUNNER_SYSTEM_LOG_FILE"
RAISED_FILE = "RUNNER_RAISED_FILE"
AZUREML_RUN_ID = "AZUREML_RUN_ID"
AZUREML_EXPERIMENT_NAME = "AZUREML_ARM_PROJECT_NAME"
