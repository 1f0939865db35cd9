"""In the style of pytorch_horovod_mnist.py: an allreduce over all ranks, the first one logs."""

import argparse

from azureml.core.run import Run
from mpi4py import MPI

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
args = parser.parse_args()
run = Run.get_context()
world = MPI.COMM_WORLD
for epoch in range(args.epochs):
    total = world.allreduce(world.Get_rank() + epoch)
    print("rank", world.Get_rank(), "of", world.Get_size(), "epoch", epoch, "total", total, flush=True)
    if world.Get_rank() == 0:
        run.log("total", total)
