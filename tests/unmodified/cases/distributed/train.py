"""In the style of distributed-pytorch-with-distributeddataparallel/train.py: no azureml in it."""

import os

print(*(f"{name}={os.environ[name]}" for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK")), flush=True)
