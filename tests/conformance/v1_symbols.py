"""Reference azureml-v1.md 7.2: every symbol that v1's notebooks and scripts use, how often, and how they get it.

An expression is evaluated with `run`, a run; `ws`, its workspace; and `azureml`, the modules that it names imported.
"""

from __future__ import annotations

from typing import NamedTuple

TOTAL_USES = 1045  # of 159 symbols

_TABLE = """
54 Run.log: run.log
41 Experiment.submit: run.experiment.submit
34 Workspace.from_config: azureml.core.Workspace.from_config
32 ScriptRunConfig(): azureml.core.ScriptRunConfig('.')
32 ScriptRunConfig(script=): azureml.core.ScriptRunConfig('.', script='train.py')
31 ScriptRunConfig(source_directory=): azureml.core.ScriptRunConfig(source_directory='.')
30 Experiment(): azureml.core.Experiment(ws, 'name')
30 Run.wait_for_completion: run.wait_for_completion
28 VERSION: azureml.core.VERSION
26 Workspace.name: ws.name
26 Workspace.location: ws.location
24 ScriptRunConfig(environment=): azureml.core.ScriptRunConfig('.', environment=azureml.core.Environment('e'))
22 ComputeTarget.wait_for_completion: azureml.core.compute.ComputeTarget.wait_for_completion
22 Workspace.resource_group: ws.resource_group
22 ScriptRunConfig(compute_target=): azureml.core.ScriptRunConfig('.', compute_target='local')
22 Run.get_context: azureml.core.run.Run.get_context
21 Workspace.subscription_id: ws.subscription_id
21 Environment.python: azureml.core.Environment('e').python
19 ComputeTarget.provisioning_configuration: azureml.core.compute.AmlCompute.provisioning_configuration
19 ComputeTarget.create: azureml.core.compute.ComputeTarget.create
18 RunDetails.show: azureml.widgets.RunDetails(run).show
18 RunDetails(): azureml.widgets.RunDetails(run)
17 ScriptRunConfig(arguments=): azureml.core.ScriptRunConfig('.', arguments=['--a', 1])
15 ComputeTarget(): azureml.core.compute.ComputeTarget(workspace=ws, name='pool')
15 Environment.docker: azureml.core.Environment('e').docker
14 PythonSection.conda_dependencies: azureml.core.Environment('e').python.conda_dependencies
13 ComputeTarget.get_status: azureml.core.compute.AmlCompute(ws, 'pool').get_status().serialize
13 Run.get_metrics: run.get_metrics
13 Run.get_status: run.get_status
12 Environment.get: azureml.core.Environment.get
11 Environment(): azureml.core.environment.Environment('e')
9 Workspace(): azureml.core.Workspace(subscription_id='s', resource_group='g', workspace_name='w')
9 RunConfiguration.environment: azureml.core.runconfig.RunConfiguration().environment
9 Run.register_model: run.register_model
8 Workspace.compute_targets: ws.compute_targets
8 Experiment.start_logging: run.experiment.start_logging
8 ScriptRunConfig.run_config: azureml.core.ScriptRunConfig('.').run_config
7 Workspace.get_details: ws.get_details()
7 Run.complete: run.complete
7 Run.get_file_names: run.get_file_names
7 Dataset.File: azureml.core.dataset.Dataset.File.from_files
7 PythonSection.user_managed_dependencies: azureml.core.Environment('e').python.user_managed_dependencies
6 Workspace.get_default_datastore: ws.get_default_datastore
6 DockerSection.enabled: azureml.core.Environment('e').docker.enabled
6 CondaDependencies.create: azureml.core.conda_dependencies.CondaDependencies.create
6 CondaDependencies.add_pip_package: azureml.core.environment.CondaDependencies.add_pip_package
5 Workspace.write_config: ws.write_config
5 RunConfiguration.target: azureml.core.runconfig.RunConfiguration().target
5 DockerSection.base_image: azureml.core.Environment('e').docker.base_image
5 Run.get_details: run.get_details
5 Run.tag: run.tag
5 Tensorboard(): azureml.tensorboard.Tensorboard([])
5 Tensorboard.start: azureml.tensorboard.Tensorboard.start
5 Tensorboard.stop: azureml.tensorboard.Tensorboard.stop
5 Workspace.get_mlflow_tracking_uri: ws.get_mlflow_tracking_uri
5 ScriptRunConfig(distributed_job_config=):
    azureml.core.ScriptRunConfig('.', distributed_job_config=azureml.core.runconfig.MpiConfiguration())
4 Datastore.upload_files: azureml.core.Datastore.upload_files
4 Run.get_tags: run.get_tags
4 HyperDriveConfig():
    azureml.train.hyperdrive.HyperDriveConfig(azureml.train.hyperdrive.GridParameterSampling({'a':
    azureml.train.hyperdrive.choice(1)}),
    'm', azureml.train.hyperdrive.PrimaryMetricGoal.MINIMIZE, 1, run_config=azureml.core.ScriptRunConfig('.'))
4 PrimaryMetricGoal.MAXIMIZE: azureml.train.hyperdrive.PrimaryMetricGoal.MAXIMIZE
4 Run.get_best_run_by_primary_metric: azureml.train.hyperdrive.HyperDriveRun.get_best_run_by_primary_metric
3 Workspace.create: azureml.core.Workspace.create
3 CondaDependencies(): azureml.core.conda_dependencies.CondaDependencies()
3 MNIST.get_file_dataset: azureml.opendatasets.MNIST.get_file_dataset
3 Model.name: azureml.core.Model(ws, 'net').name
3 Model.version: azureml.core.model.Model(ws, 'net').version
3 Experiment.get_runs: run.experiment.get_runs
3 Dataset.get_by_name: azureml.core.Dataset.get_by_name
3 Run.log_image: run.log_image
3 ComputeTarget.name: azureml.core.compute.ComputeTarget(ws, 'pool').name
3 ComputeTarget.attach_configuration: azureml.core.compute.RemoteCompute.attach_configuration
3 Run.id: run.id
3 MpiConfiguration(): azureml.core.runconfig.MpiConfiguration()
2 RunConfiguration(): azureml.core.RunConfiguration()
2 RunConfiguration.data_references: azureml.core.runconfig.RunConfiguration().data_references
2 ScriptRunConfig(run_config=): azureml.core.ScriptRunConfig('.', run_config=azureml.core.RunConfiguration())
2 Model.register: azureml.core.model.Model.register
2 Model.id: azureml.core.Model(ws, 'net').id
2 Environment.register: azureml.core.Environment.register
2 Run.upload_file: run.upload_file
2 Run(): azureml.core.run.Run
2 Run.download_file: run.download_file
2 Datastore.name: azureml.core.Datastore.get(ws, 'workspaceblobstore').name
2 Dataset.Tabular: azureml.core.Dataset.Tabular.from_delimited_files
2 Dataset.time_after: azureml.data.TabularDataset.time_after
2 Dataset.drop_columns: azureml.data.TabularDataset.drop_columns
2 Dataset.keep_columns: azureml.data.tabular_dataset.TabularDataset.keep_columns
2 Dataset.with_timestamp_columns: azureml.data.TabularDataset.with_timestamp_columns
2 Run.input_datasets: azureml.core.Run.get_context().input_datasets
2 Environment.from_conda_specification: azureml.core.Environment.from_conda_specification
2 ComputeTarget.attach: azureml.core.compute.ComputeTarget.attach
2 CondaDependencies.add_conda_package: azureml.core.conda_dependencies.CondaDependencies.add_conda_package
2 RemoteCompute(): azureml.core.compute.RemoteCompute
2 Run.add_properties: run.add_properties
2 Run.child_run: run.child_run
2 Run.get_children: run.get_children
2 TensorFlow(): azureml.train.dnn.TensorFlow('.', entry_script='train.py')
2 InteractiveLoginAuthentication(): azureml.core.authentication.InteractiveLoginAuthentication(tenant_id='t')
2 TokenAuthentication.get_token: azureml.core.authentication.TokenAuthentication(len).get_token
2 RandomParameterSampling():
    azureml.train.hyperdrive.RandomParameterSampling({'a': azureml.train.hyperdrive.uniform(0, 1)})
2 Environment.clone: azureml.core.Environment('e').clone('f')
1 DataReference(): azureml.data.data_reference.DataReference(datastore=ws.get_default_datastore())
1 RunConfiguration.framework: azureml.core.runconfig.RunConfiguration().framework
1 DockerSection.gpu_support: azureml.core.Environment('e').docker.gpu_support
1 Environment.spark: azureml.core.Environment('e').spark
1 DataReference.to_config: azureml.data.data_reference.DataReference.to_config
1 Diabetes.get_tabular_dataset: azureml.opendatasets.Diabetes.get_tabular_dataset
1 Datastore.path: azureml.core.Datastore.path
1 OutputFileDatasetConfig(): azureml.data.OutputFileDatasetConfig()
1 Datastore.upload: azureml.core.datastore.Datastore.upload
1 Dataset.to_pandas_dataframe: azureml.data.TabularDataset.to_pandas_dataframe
1 Dataset.time_before: azureml.data.TabularDataset.time_before
1 Dataset.time_between: azureml.data.TabularDataset.time_between
1 Dataset.time_recent: azureml.data.TabularDataset.time_recent
1 HDInsightCompute.attach_configuration: azureml.core.compute.HDInsightCompute.attach_configuration
1 ComputeTarget.supported_vmsizes: azureml.core.compute.AmlCompute.supported_vmsizes
1 DockerConfiguration(): azureml.core.runconfig.DockerConfiguration(use_docker=True)
1 ScriptRunConfig(docker_runtime_config=):
    azureml.core.ScriptRunConfig('.', docker_runtime_config=azureml.core.runconfig.DockerConfiguration())
1 ComputeTarget.list_nodes: azureml.core.compute.AmlCompute.list_nodes
1 ComputeTarget.update: azureml.core.compute.AmlCompute.update
1 Model.url: azureml.core.Model(ws, 'net').url
1 Datastore.datastore_type: azureml.core.Datastore.datastore_type
1 Datastore.account_name: azureml.core.Datastore.account_name
1 Datastore.container_name: azureml.core.Datastore.container_name
1 Environment.list: azureml.core.Environment.list
1 Environment.environment_variables: azureml.core.Environment('e').environment_variables
1 Run.get_environment: run.get_environment
1 Workspace.environments: ws.environments
1 DockerSection.base_image_registry: azureml.core.Environment('e').docker.base_image_registry
1 DockerSection.shared_volumes: azureml.core.Environment('e').docker.shared_volumes
1 DockerSection.shm_size: azureml.core.Environment('e').docker.shm_size
1 Run.create_children: run.create_children
1 Run.get_details_with_logs: run.get_details_with_logs
1 Run.get_properties: run.get_properties
1 Run.cancel: run.cancel
1 Run.fail: run.fail
1 Run.restore_snapshot: run.restore_snapshot
1 ComputeTarget.type: azureml.core.compute.ComputeTarget(ws, 'pool').type
1 Run.log_list: run.log_list
1 Run.log_row: run.log_row
1 Run.log_table: run.log_table
1 Workspace.experiments: ws.experiments
1 AzureCliAuthentication(): azureml.core.authentication.AzureCliAuthentication()
1 MsiAuthentication(): azureml.core.authentication.MsiAuthentication()
1 ServicePrincipalAuthentication(): azureml.core.authentication.ServicePrincipalAuthentication('t', 'i', 'p')
1 TokenAuthentication(): azureml.core.authentication.TokenAuthentication(len)
1 Audience.aml: azureml.core.authentication.Audience.aml
1 Audience.arm: azureml.core.authentication.Audience.arm
1 Workspace.get_default_keyvault: ws.get_default_keyvault
1 Keyvault.set_secret: ws.get_default_keyvault().set_secret
1 Keyvault.list_secrets: ws.get_default_keyvault().list_secrets
1 Keyvault.get_secret: azureml.core.keyvault.Keyvault.get_secret
1 Run.get_secret: run.get_secret
1 Run._get_outputs_datapath: run._get_outputs_datapath
1 DataPathComputeBinding(): azureml.data.datapath.DataPathComputeBinding()
1 TruncationSelectionPolicy(): azureml.train.hyperdrive.TruncationSelectionPolicy(50)
1 Run.status: run.status
1 TensorflowConfiguration(): azureml.core.runconfig.TensorflowConfiguration()
1 PyTorchConfiguration(): azureml.core.runconfig.PyTorchConfiguration()
"""


class Symbol(NamedTuple):
    """One row: what it is called, how many uses there are, and an expression that needs it."""

    name: str
    uses: int
    expression: str


def symbols() -> list[Symbol]:
    """The rows, most used first."""
    found = []
    for line in _TABLE.strip().replace("\n    ", " ").splitlines():
        head, _, expression = line.partition(": ")
        uses, _, name = head.partition(" ")
        found.append(Symbol(name, int(uses), expression))
    return found


# Evaluates every line of standard input, importing the modules that it names, and tells how it went. `run` is given.
WALK = """
import importlib, json, re, sys
ws, told = run.experiment.workspace, {}
for line in sys.stdin.read().splitlines():
    try:
        scope = {"run": run, "ws": ws}
        for path in re.findall(r"azureml(?:[.][a-z_]+)+", line):
            parts = path.split(".")
            for count in range(1, len(parts) + 1):
                try: importlib.import_module(".".join(parts[:count]))
                except ModuleNotFoundError: break
            scope["azureml"] = sys.modules["azureml"]
        eval(line, scope)
        told[line] = ["works", ""]
    except BaseException as error:
        told[line] = [type(error).__name__, getattr(error, "message", str(error))]
json.dump(told, sys.__stdout__)
"""
