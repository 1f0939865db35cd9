"""In the style of using-environments.ipynb: variables, registered versions, packages, images."""

from azureml.core import Environment, Experiment, ScriptRunConfig, Workspace
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.runconfig import DEFAULT_CPU_IMAGE, RunConfiguration

ws = Workspace.from_config()
myenv = Environment(name="myenv")
myenv.python.user_managed_dependencies = True
myenv.environment_variables = {"MESSAGE": "Hello from Azure Machine Learning"}
runconfig = RunConfiguration(script="example.py")
runconfig.environment = myenv
runconfig.environment_variables["OTHER"] = "of the configuration"
src = ScriptRunConfig(source_directory=".", run_config=runconfig)
run = Experiment(ws, "Environments").submit(src)
run.wait_for_completion(show_output=True)
assert run.get_environment().environment_variables["MESSAGE"].startswith("Hello")

myenv.register(workspace=ws)
myenv.environment_variables["MORE"] = "1"
print("registered version", myenv.register(workspace=ws).version)
restored_environment = Environment.get(workspace=ws, name="myenv", version="1")
assert "MORE" not in restored_environment.environment_variables
assert [name for name in Environment.list(ws) if name.startswith("my")] == ["myenv"] and "myenv" in ws.environments

conda_dep = CondaDependencies()
conda_dep.add_conda_package("scikit-learn")
conda_dep.add_pip_package("pillow")
other = Environment("other")
other.python.conda_dependencies = conda_dep
other.docker.base_image = DEFAULT_CPU_IMAGE
other.docker.base_image_registry.address = "registry.example.com"
other.docker.shared_volumes, other.docker.shm_size = False, "4g"
copy = other.clone("copy")
assert "pillow" in copy.python.conda_dependencies.serialize_to_string() and copy.docker.shm_size == "4g"
assert other.register(ws).version == "1"
