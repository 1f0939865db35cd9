"""An MPI is known by what its launcher prints of itself."""

import pytest

from sidecar import mpi_found


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("HYDRA build details:\n    Version:                                 4.2.2\n    CC: gcc\n", ("MPICH", "4.2.2")),
        (
            "mpiexec (OpenRTE) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/\n",
            ("Open MPI", "4.1.4"),
        ),
        ("mpirun (Open MPI) 5.0.3\n", ("Open MPI", "5.0.3")),
        ("Intel(R) MPI Library for Linux* OS, Version 2021.9 Build 20230307\n", ("Intel MPI", "2021.9")),
    ],
)
def test_mpi_is_recognised(output: str, version: tuple[str, str]) -> None:
    """Every MPI that is known is told from what its mpiexec prints of itself."""
    assert mpi_found.parse("mpiexec", output) == version


def test_another_program_is_no_mpi() -> None:
    """A program called mpiexec that is none says so."""
    with pytest.raises(mpi_found.NoMpi, match="of no MPI that we know"):
        mpi_found.parse("/usr/bin/mpiexec", "something else 1.0\n")
