"""Reference azureml-v1.md 2.6: the run of a script that was started by hand, as azureml-core 1.61 was seen to print."""

from __future__ import annotations

from typing import Any

import pytest

CALLS: list[tuple[str, tuple[Any, ...], str]] = [
    ("log", ("a", 1.5), "Attempted to log scalar metric a:\n1.5\n"),
    ("log", ("a", [1]), "Attempted to log scalar metric a:\n[1]\n"),
    ("log_list", ("l", [1, 2]), "Attempted to log list metric l:\n[1, 2]\n"),
    ("log_table", ("t", {"a": [1]}), "Attempted to log table metric t:\n{'a': [1]}\n"),
    ("log_image", ("i", "x.png"), "Attempted to log image metric i:\nx.png\n"),
    ("log_confusion_matrix", ("c", {"a": 1}), "Attempted to log confusion_matrix metric c:\n{'a': 1}\n"),
    ("log_accuracy_table", ("c", {"a": 1}), "Attempted to log accuracy_table metric c:\n{'a': 1}\n"),
    ("log_residuals", ("c", {"a": 1}), "Attempted to log residual metric c:\n{'a': 1}\n"),
    ("log_predictions", ("c", {"a": 1}), "Attempted to log predictions metric c:\n{'a': 1}\n"),
    ("tag", ("k", 3), "Attempted to add tag k with value 3\n"),
    ("tag", ("k",), "Attempted to add tag k with value None\n"),
    ("set_tags", ({"z": 1},), "Attempted to set tags {'z': 1}\n"),
    ("add_properties", ({"p": 1},), "Attempted to add properties {'p': 1}\n"),
    ("upload_file", ("outputs/f", "f"), "Attempted to track file outputs/f at f\n"),
    ("upload_files", (["a"], ["b"]), "Attempted to track files ['a'] at ['b'] with timeout Nones\n"),
    ("upload_folder", ("n", "p"), "Attempted to track folder n at p\n"),
    ("complete", (), ""),
    ("cancel", (), ""),
    ("fail", (), "Run failed with error code None:\nNone\n"),
    ("fail", ("x", "y"), "Run failed with error code y:\nx\n"),
]
ABSENT = (
    "parent experiment input_datasets get_metrics status get_status get_details get_file_names get_tags display_name "
    "register_model create_children get_children number name type tags properties start wait_for_completion "
    "get_environment get_secret take_snapshot description clean"
)


@pytest.mark.parametrize(("call", "arguments", "text"), CALLS)
def test_it_prints(call: str, arguments: tuple[Any, ...], text: str, api: Any, capsys: Any) -> None:
    """Each call prints what azureml-core prints."""
    assert getattr(api.Run.get_context(), call)(*arguments) is None
    assert capsys.readouterr().out == text


def test_rows_and_plots(api: Any, capsys: Any) -> None:
    """A row prints its columns; an image without a path its plot."""
    run = api.Run.get_context()
    run.log_row("r", x=1, y=2)
    run.log_image("i", plot=3)
    text = "Attempted to log row metric r:\n{'x': 1, 'y': 2}\nAttempted to log image metric i:\n3\n"
    assert capsys.readouterr().out == text


def test_context_manager(api: Any, capsys: Any) -> None:
    """Entering and leaving are printed, and an exception goes on."""
    run = api.Run.get_context()
    with pytest.raises(ValueError, match="x"), run:
        raise ValueError("x")
    run.flush()
    text = "[START] Run {0} context\n[STOP] Run {0} context\nAttempted to flush run with id {0}\n"
    assert capsys.readouterr().out == text.format(run.id)


def test_children(api: Any) -> None:
    """A child's id is its parent's and its name, or what was asked for."""
    run = api.Run.get_context()
    assert run is api.Run.get_context() and run.id.startswith("OfflineRun_")
    assert run.child_run("n").id == f"{run.id}.n" and run.child_run(run_id="x").child_run("q").id == "x.q"


@pytest.mark.parametrize("name", ABSENT.split())
def test_the_rest_is_absent(name: str, api: Any) -> None:
    """Scripts ask by `hasattr` whether they run in a job."""
    assert not hasattr(api.Run.get_context(), name)


def test_log_knows_no_step(api: Any) -> None:
    """As in azureml-core, `step` is for runs that are no offline ones."""
    with pytest.raises(TypeError):
        api.Run.get_context().log("a", 1, step=2)


def test_refusing_to_be_offline(api: Any, errors: Any) -> None:
    """With `allow_offline=False` there must be a job, and the text is laid out as v1 lays it out."""
    with pytest.raises(errors.RunEnvironmentException) as caught:
        api.Run.get_context(allow_offline=False)
    message = "Could not load a submitted run, if outside of an execution context"
    assert str(caught.value).startswith(f"RunEnvironmentException:\n\tMessage: {message}")
    assert '\n\tInnerException None\n\tErrorResponse \n{\n    "error": {' in str(caught.value)
