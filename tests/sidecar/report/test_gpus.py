"""What nvidia-smi prints becomes one finding; the texts below have the format that its manual describes."""

from sidecar.report import gpus
from sidecar.report.finding import OK, WARN

TWO = "0, GPU-aa, NVIDIA H200, 4, 143771\n1, GPU-bb, NVIDIA H200, 20480, 143771\n"


def test_idle_gpus_are_counted() -> None:
    """GPUs that nobody uses are a number and a kind."""
    found = gpus.judge(gpus.parse_gpus(TWO.replace("20480", "4")), [], lambda pid: "nobody")
    assert (found.level, found.brief) == (OK, "2") and "2 x NVIDIA H200, 140.4 GiB" in found.detail


def test_foreign_use_is_named() -> None:
    """A process on a GPU is named with its owner and what it takes."""
    uses = gpus.parse_uses("GPU-bb, 4711, 20000\n")
    found = gpus.judge(gpus.parse_gpus(TWO), uses, lambda pid: "bob")
    assert (found.level, found.brief) == (WARN, "2, in use") and "GPU 1: pid 4711 of bob uses 19.5 GiB" in found.detail


def test_use_that_cannot_be_seen_is_told() -> None:
    """Memory that is taken without a process, as by another container, is a use as well; unknown sizes are none."""
    found = gpus.judge(gpus.parse_gpus(TWO), [], lambda pid: "nobody")
    assert found.level == WARN and "processes that cannot be seen" in found.detail
    assert gpus.judge(gpus.parse_gpus("0, GPU-aa, GB10, [N/A], [N/A]\n"), [], lambda pid: "nobody").level == OK
