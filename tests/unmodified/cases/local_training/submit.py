"""In the style of train-on-local.ipynb: a user-managed environment, then another interpreter, metrics, a model."""

import sys

import azureml.core
from azureml.core import Environment, Experiment, Model, ScriptRunConfig, Workspace

print("This notebook was created using version 1.36.0 of the Azure ML SDK")
print("You are currently using version", azureml.core.VERSION, "of the Azure ML SDK")
ws = Workspace.from_config()
print(ws.name, ws.resource_group, ws.location, ws.subscription_id, sep="\n")
exp = Experiment(workspace=ws, name="train-on-local")

user_managed_env = Environment("user-managed-env")
user_managed_env.python.user_managed_dependencies = True
src = ScriptRunConfig(source_directory="./", script="train.py", environment=user_managed_env)
run = exp.submit(src)
run.wait_for_completion(show_output=True)

other = Environment("other-interpreter")
other.python.user_managed_dependencies = True
other.python.interpreter_path = sys.executable
src.run_config.environment = other
again = exp.submit(src, show_output=True)

metrics = run.get_metrics()
best = dict(zip(metrics["mse"], metrics["alpha"]))[min(metrics["mse"])]
print(f"When alpha is {best:1.2f}, we have min MSE {min(metrics['mse']):0.6f}.")
assert again.get_metrics() == metrics
model_file_name = f"outputs/ridge_{best:1.2f}.pkl"
assert model_file_name in run.get_file_names()
model = run.register_model(model_name="sklearn_ridge", model_path=model_file_name)
print("Registered", model.name, model.version, model.url)
assert Model(ws, "from-the-job").tags == {"by": "train.py"} and Model(ws, "from-the-job").version == 2
assert {Model(ws, "from-the-job", version=number).run_id for number in (1, 2)} == {run.id, again.id}
