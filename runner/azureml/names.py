"""Every name of Azure ML v1 that the submitting side has, and where it is; for the others, why there is nothing.

The catalogue inside a job (`scriptrun_job.catalog`) knows v1's names too; here is what a job cannot have.
"""

from __future__ import annotations

_SDK = "runner.sdk."
_COMPUTE = "AmlCompute ComputeTarget RemoteCompute"
_EXCEPTIONS = (
    "ActivityFailedException AuthenticationException AzureMLException AzureMLAggregatedException "
    "ComputeTargetException DatasetTimestampMissingError DiscoveryUrlNotFoundException ExperimentExecutionException "
    "ModelNotFoundException ModelPathNotFoundException ParallelRunException ProjectSystemException "
    "RunConfigurationException RunEnvironmentException ServiceException SnapshotException TrainingException "
    "UserErrorException WebserviceException WorkspaceException WorkspacePrivateEndpointException"
)
_DISTRIBUTED = "DockerConfiguration MpiConfiguration PyTorchConfiguration TensorflowConfiguration"
_SECTIONS = (
    "ContainerRegistry DatabricksSection DockerBuildContext DockerImagePlatform DockerSection PythonSection RSection "
    "SparkPackage SparkSection"
)
_CONFIGURATION = (
    "AmlComputeConfiguration HdiConfiguration HistoryConfiguration KubernetesComputeConfiguration SparkConfiguration"
)
_SAMPLING = (
    "BanditPolicy BayesianParameterSampling EarlyTerminationPolicy GridParameterSampling HyperDriveConfig "
    "HyperDriveRun MedianStoppingPolicy NoTerminationPolicy PrimaryMetricGoal RandomParameterSampling "
    "TruncationSelectionPolicy choice lognormal loguniform normal qlognormal qloguniform qnormal quniform randint "
    "uniform"
)
_LOGINS = (
    "AbstractAuthentication ArmTokenAuthentication AzureCliAuthentication AzureMLTokenAuthentication Audience "
    "InteractiveLoginAuthentication MsiAuthentication ServicePrincipalAuthentication TokenAuthentication"
)
_OUTPUT = {"OutputFileDatasetConfig": f"{_SDK}data.output"}
_DATASETS = {"FileDataset": f"{_SDK}data.file_dataset", "TabularDataset": f"{_SDK}data.tabular_dataset"}
_CONDA = {"CondaDependencies": f"{_SDK}conda_dependencies"}
_ENVIRONMENT = {"Environment": f"{_SDK}environment"}
_RUN = {"Run": f"{_SDK}run"}


def _all(module: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), module)


_OF_ENVIRONMENT = {**_ENVIRONMENT, **_CONDA, **_all(f"{_SDK}environment_sections", _SECTIONS)}
_PREFERRED = {
    "Workspace": f"{_SDK}workspace",
    "Experiment": f"{_SDK}experiment",
    "ScriptRunConfig": f"{_SDK}script_run_config",
    "RunConfiguration": f"{_SDK}run_configuration",
    "Dataset": f"{_SDK}data.dataset",
    "Datastore": f"{_SDK}data.datastore",
    "Model": f"{_SDK}model",
    "Keyvault": f"{_SDK}keyvault",
    "ComputeTarget": f"{_SDK}compute",
    "ContainerRegistry": f"{_SDK}environment_sections",
}

# module -> name -> the module that has it; an attribute of another name stands behind a colon.
PROVIDED: dict[str, dict[str, str]] = {
    "azureml.core": {
        **_PREFERRED,
        **_RUN,
        **_ENVIRONMENT,
        "ScriptRun": f"{_SDK}run:Run",
        "get_run": f"{_SDK}run:get_run",
        "VERSION": "runner.azureml.versions",
        "__version__": "runner.azureml.versions:VERSION",
    },
    "azureml.core.authentication": _all("runner.azureml.authentication", _LOGINS),
    "azureml.core.compute": _all(f"{_SDK}compute", _COMPUTE),
    "azureml.core.compute.amlcompute": _all(f"{_SDK}compute.amlcompute", "AmlCompute AmlComputeStatus ScaleSettings"),
    "azureml.core.compute.remote": _all(f"{_SDK}compute.remote", "RemoteCompute RemoteComputeAttachConfiguration"),
    "azureml.core.compute_target": {"ComputeTargetException": f"{_SDK}exceptions"},
    "azureml.core.conda_dependencies": _CONDA,
    "azureml.core.container_registry": {"ContainerRegistry": f"{_SDK}environment_sections"},
    "azureml.core.databricks": {"DatabricksSection": f"{_SDK}environment_sections"},
    "azureml.core.dataset": {"Dataset": f"{_SDK}data.dataset"},
    "azureml.core.datastore": {"Datastore": f"{_SDK}data.datastore"},
    "azureml.core.environment": {
        **_OF_ENVIRONMENT,
        "ImageBuildDetails": f"{_SDK}image_build",
        "DEFAULT_CPU_IMAGE": f"{_SDK}environment_sections",
        "DEFAULT_GPU_IMAGE": f"{_SDK}environment_sections",
    },
    "azureml.core.experiment": {"Experiment": f"{_SDK}experiment", "ViewType": f"{_SDK}experiment"},
    "azureml.core.keyvault": {"Keyvault": f"{_SDK}keyvault"},
    "azureml.core.model": {"Model": f"{_SDK}model"},
    "azureml.core.run": {
        **_RUN,
        "get_run": f"{_SDK}run:get_run",
        "RunStatus": "runner.history.status",
        # What `Run.get_context()` gives inside a job, and outside one; scripts ask by isinstance.
        "_SubmittedRun": "scriptrun_job.run:Run",
        "_OfflineRun": "scriptrun_job.offline_run:OfflineRun",
    },
    "azureml.core.runconfig": {
        **_OF_ENVIRONMENT,
        **_all(f"{_SDK}distributed", _DISTRIBUTED),
        **_all(f"{_SDK}run_configuration_sections", _CONFIGURATION),
        "RunConfiguration": f"{_SDK}run_configuration",
        "DataReferenceConfiguration": f"{_SDK}data.reference:DataReference",
        "EnvironmentDefinition": f"{_SDK}environment:Environment",
        "DockerEnvironment": f"{_SDK}environment_sections:DockerSection",
        "PythonEnvironment": f"{_SDK}environment_sections:PythonSection",
        "SparkEnvironment": f"{_SDK}environment_sections:SparkSection",
        "DEFAULT_CPU_IMAGE": f"{_SDK}environment_sections",
        "DEFAULT_GPU_IMAGE": f"{_SDK}environment_sections",
    },
    "azureml.core.script_run": {"ScriptRun": f"{_SDK}run:Run"},
    "azureml.core.script_run_config": {"ScriptRunConfig": f"{_SDK}script_run_config"},
    "azureml.core.workspace": {"Workspace": f"{_SDK}workspace"},
    "azureml.data": {**_DATASETS, **_OUTPUT},
    "azureml.data.data_reference": {"DataReference": f"{_SDK}data.reference"},
    "azureml.data.datapath": {"DataPath": f"{_SDK}data.reference"},
    "azureml.data.dataset_consumption_config": {"DatasetConsumptionConfig": f"{_SDK}data.consumption"},
    "azureml.data.dataset_factory": _all(f"{_SDK}data.dataset", "FileDatasetFactory TabularDatasetFactory"),
    "azureml.data.file_dataset": {"FileDataset": f"{_SDK}data.file_dataset"},
    "azureml.data.output_dataset_config": _OUTPUT,
    "azureml.data.tabular_dataset": {"TabularDataset": f"{_SDK}data.tabular_dataset"},
    "azureml.exceptions": _all(f"{_SDK}exceptions", _EXCEPTIONS),
    "azureml._common.exceptions": {"AzureMLException": f"{_SDK}exceptions"},
    "azureml.logging": {"get_azureml_logger": "runner.azureml.telemetry"},
    "azureml.mlflow": {
        "get_mlflow_tracking_uri": "runner.azureml.telemetry",
        "get_portal_url": "runner.azureml.telemetry",
    },
    "azureml.opendatasets": _all("runner.azureml.opendatasets", "Diabetes MNIST"),
    "azureml.telemetry": {"set_diagnostics_collection": "runner.azureml.telemetry"},
    "azureml.tensorboard": {"Tensorboard": "runner.azureml.tensorboard"},
    "azureml.tensorboard.export": {"export_to_tensorboard": "runner.azureml.tensorboard"},
    "azureml.train": {},
    "azureml.train.dnn": _all("runner.azureml.estimators", "Chainer Gloo Mpi Nccl ParameterServer PyTorch TensorFlow"),
    "azureml.train.estimator": _all("runner.azureml.estimators", "Estimator Gloo Mpi Nccl ParameterServer"),
    "azureml.train.hyperdrive": _all(f"{_SDK}hyperdrive", _SAMPLING),
    "azureml.train.sklearn": {"SKLearn": "runner.azureml.estimators"},
    "azureml.widgets": {"RunDetails": f"{_SDK}run_widget"},
}

_NOTHING = "nothing in the runner stands behind it"
_DEPLOY = "the runner trains models and does not deploy them"
_PIPELINE = "the runner runs scripts, not pipelines; submit them one after another with Experiment.submit"
_AUTOML = "Azure's automated machine learning is a service that the runner has no part of"
_OPEN = "Azure's other open data sets are not known here; give their files to Dataset.File.from_files"
_SPARK = "the runner has no Spark, Databricks or Synapse"
# What a name, or the module that it is in, tells of why there is nothing; the first that fits counts.
_WHY = (
    ("azureml.pipeline", _PIPELINE),
    ("azureml.automl", _AUTOML),
    ("azureml.train.automl", _AUTOML),
    ("azureml.opendatasets", _OPEN),
    ("azureml.core.webservice", _DEPLOY),
    ("azureml.core.image", _DEPLOY),
    ("azureml.core.profile", _DEPLOY),
    ("azureml.core.linked_service", _SPARK),
    ("azureml.core.databricks", _SPARK),
)
_WHY_OF_WORDS = (
    (("Webservice", "Inference", "Image", "Aks", "Aci", "ModelPackage"), _DEPLOY),
    (("Spark", "Databricks", "Synapse", "HDInsight", "Hdi", "Adla", "DataFactory", "Kusto"), _SPARK),
    (("Batch", "Kubernetes", "ComputeInstance", "Dsvm"), "attach machines of your own: RemoteCompute, runner compute"),
)


def why_not(module: str, name: str) -> str:
    """Why there is nothing for `name` of `module`."""
    for beginning, why in _WHY:
        if module == beginning or module.startswith(f"{beginning}."):
            return why
    for words, why in _WHY_OF_WORDS:
        if any(word in name for word in words):
            return why
    return _NOTHING
