"""Every name of Azure ML v1 that scripts are known to import: what stands for it in a job, or why nothing does.

The names are those of azureml-core 1.61 and of the corpus of azureml-v1.md 7.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Dict, Tuple

# What v1 says here of itself; scripts print it.
VERSION = "1.61.0"

_EXCEPTIONS = (
    "ActivityFailedException AuthenticationException AzureMLException AzureMLAggregatedException "
    "ComputeTargetException DatasetTimestampMissingError DiscoveryUrlNotFoundException ExperimentExecutionException "
    "ModelNotFoundException ModelPathNotFoundException ParallelRunException ProjectSystemException "
    "RunConfigurationException RunEnvironmentException ServiceException SnapshotException TrainingException "
    "UserErrorException WebserviceException WorkspaceException WorkspacePrivateEndpointException"
)
_RUN = "scriptrun_job.run:Run"
_WORKSPACE = "scriptrun_job.workspace:Workspace"
_EXPERIMENT = "scriptrun_job.workspace:Experiment"
_KEYVAULT = "scriptrun_job.workspace:Keyvault"
_ENVIRONMENT = "scriptrun_job.environment:Environment"
_MODEL = "scriptrun_job.models:Model"
_GET_RUN = "scriptrun_job.run:get_run"

# module -> name -> where it is.
PROVIDED: Dict[str, Dict[str, str]] = {
    "azureml.core": {
        "Run": _RUN,
        "ScriptRun": _RUN,
        "Workspace": _WORKSPACE,
        "Experiment": _EXPERIMENT,
        "Environment": _ENVIRONMENT,
        "Model": _MODEL,
        "Keyvault": _KEYVAULT,
        "get_run": _GET_RUN,
        "VERSION": "scriptrun_job.catalog:VERSION",
        "__version__": "scriptrun_job.catalog:VERSION",
    },
    "azureml.core.run": {
        "Run": _RUN,
        "get_run": _GET_RUN,
        "_SubmittedRun": _RUN,
        "_OfflineRun": "scriptrun_job.offline_run:OfflineRun",
        "Environment": _ENVIRONMENT,
        "Keyvault": _KEYVAULT,
    },
    "azureml.core.script_run": {"ScriptRun": _RUN, "Run": _RUN},
    "azureml.core.workspace": {"Workspace": _WORKSPACE},
    "azureml.core.experiment": {"Experiment": _EXPERIMENT},
    "azureml.core.environment": {"Environment": _ENVIRONMENT},
    "azureml.core.keyvault": {"Keyvault": _KEYVAULT},
    "azureml.core.model": {"Model": _MODEL},
    "azureml.core.compute_target": {"ComputeTargetException": "scriptrun_job.errors:ComputeTargetException"},
    "azureml.exceptions": {name: f"scriptrun_job.errors:{name}" for name in _EXCEPTIONS.split()},
    "azureml._common.exceptions": {"AzureMLException": "scriptrun_job.errors:AzureMLException"},
    "azureml.telemetry": {"set_diagnostics_collection": "scriptrun_job.workbench:set_diagnostics_collection"},
    "azureml.widgets": {"RunDetails": "scriptrun_job.workbench:RunDetails"},
    "azureml.logging": {"get_azureml_logger": "scriptrun_job.workbench:get_azureml_logger"},
}

_SUBMIT = "runs are submitted on the submitting machine, by `from runner import ...` or `runner submit`"
_COMPUTE = "machines are described on the submitting machine, in compute files"
_DATA = "a job is given its data: see run.input_datasets and run.output_datasets"
_LOGIN = "there is nothing to log in to: a job reaches its own run without credentials"
_DEPLOY = "the runner trains models and does not deploy them"
_PIPELINE = "the runner runs scripts, not pipelines"
_AUTOML = "Azure's automated machine learning is a service that the runner has no part of"
_OPEN = "Azure's open data sets are downloads from Azure; put the data into the source folder or give its path"
_SPARK = "the runner has no Spark or Databricks"
_TENSORBOARD = "it reads runs, on the submitting machine"
_MLFLOW = "MLflow in a job finds the run by itself: import mlflow"

_DATABRICKS = (
    "DatabricksCluster DatabricksEnvironment DatabricksSection EggLibrary JarLibrary MavenLibrary PyPiLibrary "
    "RCranLibrary"
)
_DISTRIBUTED = "MpiConfiguration PyTorchConfiguration TensorflowConfiguration ParallelTaskConfiguration"
_COMPUTES = (
    "AdlaCompute AksCompute AmlCompute BatchCompute ComputeInstance ComputeTarget DatabricksCompute "
    "DataFactoryCompute DsvmCompute HDInsightCompute RemoteCompute KubernetesCompute KustoCompute SynapseCompute"
)
_SERVICES = "AciWebservice AksEndpoint AksWebservice LocalWebservice Webservice"
_SAMPLING = (
    "BayesianParameterSampling GridParameterSampling RandomParameterSampling BanditPolicy MedianStoppingPolicy "
    "NoTerminationPolicy TruncationSelectionPolicy EarlyTerminationPolicy HyperDriveConfig HyperDriveRun "
    "HyperDriveRunConfig PrimaryMetricGoal choice lognormal loguniform normal qlognormal qloguniform qnormal quniform "
    "randint uniform"
)

# module -> (why, names); a module without names is known, and says why it has none.
ELSEWHERE: Dict[str, Tuple[Tuple[str, str], ...]] = {
    "azureml.core": (
        (_SUBMIT, "ScriptRunConfig RunConfiguration diagnostic_log"),
        (
            _COMPUTE,
            "ComputeTarget attach_legacy_compute_target is_compute_target_prepared prepare_compute_target "
            "remove_legacy_compute_target",
        ),
        (_DATA, "Dataset Datastore"),
        (_DEPLOY, "ContainerRegistry Image Webservice PrivateEndPoint PrivateEndPointConfig"),
        (_SPARK, "LinkedService SynapseWorkspaceLinkedServiceConfiguration"),
    ),
    "azureml.core.authentication": (
        (
            _LOGIN,
            "AbstractAuthentication AccessToken ArmTokenAuthentication Audience AzureCliAuthentication "
            "AzureMLTokenAuthentication InteractiveLoginAuthentication MsiAuthentication "
            "ServicePrincipalAuthentication TokenAuthentication",
        ),
    ),
    "azureml.core.compute": ((_COMPUTE, _COMPUTES),),
    "azureml.core.compute.amlcompute": ((_COMPUTE, "AmlCompute"),),
    "azureml.core.compute.remote": ((_COMPUTE, "RemoteCompute"),),
    "azureml.core.compute_target": (
        (
            _COMPUTE,
            "AbstractComputeTarget LocalTarget attach_legacy_compute_target is_compute_target_prepared "
            "prepare_compute_target remove_legacy_compute_target",
        ),
    ),
    "azureml.core.conda_dependencies": ((_SUBMIT, "CondaDependencies"),),
    "azureml.core.container_registry": ((_SUBMIT, "ContainerRegistry RegistryIdentity"),),
    "azureml.core.databricks": ((_SPARK, _DATABRICKS),),
    "azureml.core.dataset": ((_DATA, "Dataset"),),
    "azureml.core.datastore": ((_DATA, "Datastore"),),
    "azureml.core.environment": (
        (
            _SUBMIT,
            "CondaDependencies ContainerRegistry DockerBuildContext DockerEnvironment DockerImageDetails "
            "DockerImagePlatform DockerSection EnvironmentReference ImageBuildDetails PythonEnvironment PythonSection",
        ),
        (_SPARK, "DatabricksSection RCranPackage RGitHubPackage RSection SparkEnvironment SparkPackage SparkSection"),
    ),
    "azureml.core.experiment": ((_SUBMIT, "ViewType"),),
    "azureml.core.image": ((_DEPLOY, "ContainerImage Image"),),
    "azureml.core.linked_service": (
        (_SPARK, "LinkedService LinkedServiceConfiguration SynapseWorkspaceLinkedServiceConfiguration"),
    ),
    "azureml.core.model": ((_DEPLOY, "InferenceConfig ModelPackage"),),
    "azureml.core.private_endpoint": ((_DEPLOY, "PrivateEndPoint PrivateEndPointConfig"),),
    "azureml.core.profile": ((_DEPLOY, "ModelProfile"),),
    "azureml.core.resource_configuration": ((_DEPLOY, "ResourceConfiguration"),),
    "azureml.core.run": ((_DATA, "Datastore InputDatasets OutputDatasets LinkOutput"),),
    "azureml.core.runconfig": (
        (
            _SUBMIT,
            f"{_DISTRIBUTED} AmlComputeConfiguration ApplicationEndpointConfiguration AzureContainerRegistry "
            "CondaDependencies ContainerRegistry DEFAULT_CPU_IMAGE DEFAULT_GPU_IMAGE DEFAULT_MMLSPARK_CPU_IMAGE "
            "DockerConfiguration DockerEnvironment DockerSection Environment EnvironmentDefinition "
            "HistoryConfiguration KubernetesComputeConfiguration PythonEnvironment PythonSection RunConfiguration",
        ),
        (_SPARK, f"{_DATABRICKS} HdiConfiguration SparkConfiguration SparkEnvironment SparkSection"),
        (
            _DATA,
            "Data DataLocation DataPath DataReferenceConfiguration DatacacheConfiguration Dataset "
            "DatasetRegistrationOptions GlobsOptions MountOptions OutputData OutputOptions RegistrationOptions "
            "UploadOptions Uri",
        ),
    ),
    "azureml.core.script_run_config": (
        (
            _SUBMIT,
            f"ScriptRunConfig RunConfiguration DockerConfiguration {_DISTRIBUTED} get_run_config_from_script_run",
        ),
    ),
    "azureml.core.util": (),
    "azureml.core.webservice": ((_DEPLOY, _SERVICES),),
    "azureml.data": (
        (
            _DATA,
            "DataType FileDataset TabularDataset OutputFileDatasetConfig HDFSOutputDatasetConfig "
            "LinkFileOutputDatasetConfig LinkTabularOutputDatasetConfig DatacacheStore",
        ),
    ),
    "azureml.data.constants": ((_DATA, "MOUNT_MODE DOWNLOAD_MODE UPLOAD_MODE DIRECT_MODE"),),
    "azureml.data.data_reference": ((_DATA, "DataReference"),),
    "azureml.data.datapath": ((_DATA, "DataPath DataPathComputeBinding"),),
    "azureml.data.dataset_consumption_config": ((_DATA, "DatasetConsumptionConfig"),),
    "azureml.data.dataset_factory": ((_DATA, "DataType FileDatasetFactory TabularDatasetFactory"),),
    "azureml.data.dataset_type_definitions": (
        (_DATA, "FileEncoding FileType PromoteHeadersBehavior SkipLinesBehavior"),
    ),
    "azureml.data.file_dataset": ((_DATA, "FileDataset"),),
    "azureml.data.output_dataset_config": (
        (
            _DATA,
            "HDFSOutputDatasetConfig LinkFileOutputDatasetConfig LinkTabularOutputDatasetConfig OutputDatasetConfig "
            "OutputFileDatasetConfig OutputTabularDatasetConfig",
        ),
    ),
    "azureml.data.tabular_dataset": ((_DATA, "TabularDataset"),),
    "azureml.dataprep": (),
    "azureml.tensorboard": ((_TENSORBOARD, "Tensorboard"),),
    "azureml.tensorboard.export": ((_TENSORBOARD, "export_to_tensorboard"),),
    "azureml.telemetry": (),
    "azureml.train": (),
    "azureml.train.dnn": ((_SUBMIT, "Chainer Gloo Mpi Nccl ParameterServer PyTorch TensorFlow"),),
    "azureml.train.estimator": ((_SUBMIT, "Estimator Gloo MMLBaseEstimator Mpi Nccl ParameterServer"),),
    "azureml.train.hyperdrive": ((_SUBMIT, _SAMPLING),),
    "azureml.train.sklearn": ((_SUBMIT, "SKLearn"),),
    "azureml.train.automl": ((_AUTOML, "AutoMLConfig AutoMLStep"),),
    "azureml.automl": (),
    "azureml.automl.core": (),
    "azureml.mlflow": ((_MLFLOW, "get_mlflow_tracking_uri get_portal_url register_model"),),
    "azureml.opendatasets": ((_OPEN, "Diabetes MNIST NoaaIsdWeather NycTlcGreen NycTlcYellow PublicHolidays"),),
    "azureml.pipeline": (),
    "azureml.pipeline.core": (
        (
            _PIPELINE,
            "InputPortBinding Pipeline PipelineData PipelineEndpoint PipelineParameter PublishedPipeline Schedule",
        ),
    ),
    "azureml.pipeline.steps": (
        (_PIPELINE, "AutoMLStep CommandStep DataTransferStep DatabricksStep EstimatorStep HyperDriveStep ModuleStep"),
        (_PIPELINE, "ParallelRunConfig ParallelRunStep PythonScriptStep RScriptStep SynapseSparkStep"),
    ),
}


def why_not(module: str, name: str) -> str:
    """Why nothing stands for `name` of `module`; empty where it is not known at all."""
    for why, names in ELSEWHERE.get(module, ()):
        if name in names.split():
            return why
    return ""


def is_module(name: str) -> bool:
    """Whether v1 has a module of that name, or a folder of modules."""
    known = (*PROVIDED, *ELSEWHERE)
    return name in known or any(module.startswith(f"{name}.") for module in known)
