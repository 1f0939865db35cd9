"""Sums numbers over all processes until one of them raises; the others are waiting for it in the next sum then."""

import argparse
import time

from mpi4py import MPI


def load_batch(step: int, *, is_broken: bool) -> float:
    """A number for `step`; where `is_broken` the data cannot be read."""
    if is_broken:
        raise ValueError(f"batch {step} holds no numbers: 'n/a'")
    return float(step)


def main() -> None:
    """Runs a few steps."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--fail-rank", type=int, default=2)
    parser.add_argument("--fail-step", type=int, default=3)
    options = parser.parse_args()

    world = MPI.COMM_WORLD
    rank = world.Get_rank()
    for step in range(1, options.steps + 1):
        value = load_batch(step, is_broken=(rank, step) == (options.fail_rank, options.fail_step))
        total = world.allreduce(value)
        print(f"rank {rank}: step {step}, sum {total:g}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
