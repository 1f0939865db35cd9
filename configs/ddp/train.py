"""Fits a small network to noisy data with DistributedDataParallel; no data set is needed."""

import argparse
import os
import sys

from azureml.core import Run

try:
    import torch
    import torch.distributed as dist
except ImportError:
    sys.exit(
        f"PyTorch is not installed in {sys.executable}.\n"
        "Install it there (pip install torch), or name another Python in ddp.yml: environment.python.interpreter_path."
    )


def main() -> None:
    """Trains on the process's own samples; DistributedDataParallel averages the gradients."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=5)
    epochs = parser.parse_args().epochs

    # The runner has set MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE.
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    print(f"process {rank} of {size}, rendezvous at {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}")

    random = torch.Generator().manual_seed(rank)
    X = torch.rand(512, 2, generator=random) * 4 - 2
    y = (X[:, :1] * X[:, 1:]).sin() + 0.05 * torch.randn(512, 1, generator=random)

    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
    model = torch.nn.parallel.DistributedDataParallel(layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    run = Run.get_context()
    for epoch in range(1, epochs + 1):
        for batch in torch.randperm(len(X), generator=random).split(32):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(X[batch]), y[batch])
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            whole = torch.nn.functional.mse_loss(model(X), y)
        dist.all_reduce(whole)
        print(f"epoch {epoch}/{epochs}  loss {whole.item() / size:.4f}")
        if rank == 0:
            run.log("loss", whole.item() / size, step=epoch)

    if rank == 0:
        os.makedirs("outputs", exist_ok=True)
        torch.save(layers.state_dict(), "outputs/model.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
