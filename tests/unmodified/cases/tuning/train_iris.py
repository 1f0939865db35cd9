"""In the style of train_iris.py: a score that depends on two hyperparameters, and a model."""

import argparse
import os

from azureml.core.run import Run

parser = argparse.ArgumentParser()
parser.add_argument("--kernel", type=str, default="linear")
parser.add_argument("--penalty", type=float, default=1.0)
args = parser.parse_args()
run = Run.get_context()
run.log("Kernel type", str(args.kernel))
run.log("Penalty", float(args.penalty))
accuracy = (0.9 if args.kernel == "rbf" else 0.8) - abs(args.penalty - 1) / 10
run.log("Accuracy", float(accuracy))
os.makedirs("outputs", exist_ok=True)
with open("outputs/model.joblib", "w") as file:
    file.write(f"{args.kernel} {args.penalty}")
