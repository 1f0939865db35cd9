"""In the style of scriptrun-with-data-input-output: reads one folder, writes another."""

import argparse
import os
import shutil

from azureml.core import Run

parser = argparse.ArgumentParser()
parser.add_argument("--input")
parser.add_argument("--output")
args = parser.parse_args()
run = Run.get_context()
assert run.input_datasets["iris"].to_pandas_dataframe()["species"].tolist() == ["setosa", "versicolor"]
for name in sorted(os.listdir(args.input)):
    shutil.copy(os.path.join(args.input, name), args.output)
    run.log("copied", name)
