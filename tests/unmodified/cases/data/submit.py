"""In the style of scriptrun-with-data-input-output: files go into a datastore, through a job, and out again."""

import os

from azureml.core import Dataset, Datastore, Experiment, ScriptRunConfig, Workspace
from azureml.data import OutputFileDatasetConfig

ws = Workspace.from_config()
os.makedirs("data", exist_ok=True)
with open("data/iris.csv", "w") as file:
    file.write("length,species\n5.1,setosa\n7.0,versicolor\n")
def_blob_store = ws.get_default_datastore()
assert Datastore.get(ws, def_blob_store.name).name == "workspaceblobstore"
def_blob_store.upload_files(["data/iris.csv"], target_path="iris", overwrite=True, show_progress=False)
input_data = Dataset.File.from_files(def_blob_store.path("iris/"))
table = Dataset.Tabular.from_delimited_files((def_blob_store, "iris/iris.csv")).register(ws, "iris")
assert Dataset.get_by_name(ws, "iris").keep_columns("length").to_pandas_dataframe()["length"].tolist() == [5.1, 7.0]

output = OutputFileDatasetConfig(name="copied", destination=(def_blob_store, "out")).register_on_complete("copied")
src = ScriptRunConfig(
    source_directory=".",
    script="copy_data.py",
    arguments=["--input", input_data.as_named_input("input").as_mount(), "--output", output.as_mount()],
)
src.run_config.data = {"iris": table.as_named_input("iris")}
run = Experiment(ws, "data").submit(src)
run.wait_for_completion(show_output=True)
print("metrics", run.get_metrics())
assert Dataset.get_by_name(ws, "copied").to_path() == ["/iris.csv"]
def_blob_store.download("fetched", prefix="out")
with open("fetched/out/iris.csv") as file:
    assert "versicolor" in file.read()
