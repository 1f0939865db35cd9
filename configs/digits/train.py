"""Trains a classifier of handwritten digits on every MPI process at once, each with its own part of the data.

Every process holds the same small network. Each step, every process computes a gradient on its own samples, the
gradients are averaged with an Allreduce, and all take the same step; so the copies stay equal without being sent.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from azureml.core import Run
from mpi4py import MPI
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from network import Adam, Network

CLASSES = 10


def main() -> None:
    """Trains, evaluates on held-out digits, and lets process 0 write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=16, help="samples a process and step")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()

    world = MPI.COMM_WORLD
    rank, size = world.Get_rank(), world.Get_size()
    started = time.perf_counter()

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16.0, y, test_size=0.25, stratify=y, random_state=options.seed
    )
    # Everyone has the same split; each takes every size-th sample of it, beginning with its own number.
    X_mine, y_mine = X_train[rank::size], y_train[rank::size]
    print(
        f"process {rank} of {size} on {MPI.Get_processor_name()}: {len(X_mine)} of {len(X_train)} samples", flush=True
    )

    network = Network([X.shape[1], 64, CLASSES], seed=options.seed)
    optimizer = Adam(network.parameters.size, options.learning_rate)
    shuffle = np.random.default_rng(options.seed + rank)
    # An Allreduce needs everyone: all make as many steps as the smallest part of the data allows.
    steps = len(X_train) // size // options.batch_size
    run = Run.get_context()

    for epoch in range(1, options.epochs + 1):
        order = shuffle.permutation(len(X_mine))
        loss = 0.0
        for step in range(steps):
            batch = order[step * options.batch_size : (step + 1) * options.batch_size]
            batch_loss, gradient = network.loss_and_gradient(X_mine[batch], y_mine[batch])
            world.Allreduce(MPI.IN_PLACE, gradient, op=MPI.SUM)
            network.parameters += optimizer.step(gradient / size)
            loss += batch_loss / steps
        mean_loss = world.allreduce(loss, op=MPI.SUM) / size
        confusion = evaluate(network, X_test, y_test, world)
        accuracy = np.trace(confusion) / confusion.sum()
        print(f"epoch {epoch:3d}/{options.epochs}  loss {mean_loss:.4f} (here {loss:.4f})  accuracy {accuracy:.4f}")
        if rank == 0:
            run.log("loss", mean_loss, step=epoch)
            run.log("accuracy", accuracy, step=epoch)

    if rank == 0:
        write_results(network, confusion, seconds=time.perf_counter() - started, processes=size)


def evaluate(network: Network, X: np.ndarray, y: np.ndarray, world: MPI.Comm) -> np.ndarray:
    """The confusion matrix over the held-out digits; every process judges its share, and all get the sum."""
    rank, size = world.Get_rank(), world.Get_size()
    confusion = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    np.add.at(confusion, (y[rank::size], network.predict(X[rank::size])), 1)
    world.Allreduce(MPI.IN_PLACE, confusion, op=MPI.SUM)
    return confusion


def write_results(network: Network, confusion: np.ndarray, *, seconds: float, processes: int) -> None:
    """Leaves the model and a picture of the confusion matrix in outputs/, and prints a table of the results."""
    outputs = Path("outputs")
    outputs.mkdir(exist_ok=True)
    network.save(outputs / "model.npz")
    draw(confusion, outputs / "confusion_matrix.png")

    right = np.diag(confusion)
    print("\ndigit   held out   right   recall")
    for digit in range(CLASSES):
        held_out = confusion[digit].sum()
        print(f"{digit:5d}   {held_out:8d}   {right[digit]:5d}   {right[digit] / held_out:6.3f}")
    print(f"  all   {confusion.sum():8d}   {right.sum():5d}   {right.sum() / confusion.sum():6.3f}")
    print(f"\n{processes} processes, {seconds:.1f} s, model and confusion_matrix.png are in outputs/")


def draw(confusion: np.ndarray, path: Path) -> None:
    """Draws the confusion matrix, each field with its count."""
    import matplotlib as mpl

    mpl.use("Agg")  # No screen.
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 6), layout="constrained")
    axes.imshow(confusion, cmap="Blues")
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            color = "white" if count > confusion.max() / 2 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color)
    axes.set(xlabel="predicted", ylabel="true", xticks=range(CLASSES), yticks=range(CLASSES))
    axes.set_title(f"Held-out digits: {np.trace(confusion) / confusion.sum():.1%} right")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
