"""What one cell of a table shows."""

from runner.cli.table import cell


def test_a_table_of_many_metrics_stays_narrow() -> None:
    """Six digits of a number, the ends of a long series, a short one whole."""
    assert [cell(value) for value in (2 / 3, 12, [0.1, 2 / 3], [1, 2, 3, 0.98765432])] == [
        "0.666667",
        "12",
        "[0.1, 0.666667]",
        "[1, ..., 0.987654] (4)",
    ]
    assert cell(["a", True]) == '["a", true]'
