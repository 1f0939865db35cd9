"""In the style of train-on-remote-vm/train.py."""

import argparse
import os
import socket

from azureml.core.run import Run

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=0.4)
args = parser.parse_args()
run = Run.get_context()
run.log("alpha", args.alpha)
run.log("mse", abs(args.alpha - 0.4))
os.makedirs("outputs", exist_ok=True)
with open("outputs/model.txt", "w") as file:
    file.write(socket.gethostname())
print("trained on", socket.gethostname())
