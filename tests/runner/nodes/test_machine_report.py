import pytest

from runner.nodes.machine_report import mpi_version


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("HYDRA build details:\n    Version:                                 4.2.2\n    CC: gcc\n", "MPICH 4.2.2"),
        ("mpiexec (OpenRTE) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/\n", "Open MPI 4.1.4"),
        ("mpirun (Open MPI) 5.0.3\n", "Open MPI 5.0.3"),
        ("Intel(R) MPI Library for Linux* OS, Version 2021.9 Build 20230307\n", "Intel MPI 2021.9"),
        ("something else 1.0\n", None),
    ],
)
def test_mpi_is_recognised(output: str, version: str | None) -> None:
    """Every MPI that is known is told from what its mpiexec prints of itself."""
    assert mpi_version(output) == version
