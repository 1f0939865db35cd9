from runner.history.process_table import ProcessRow
from runner.logview.labels import label_of

ROW = ProcessRow(process_name="rank_3", node_id="gpu-01", log="azureml-logs/70_driver_log_3.txt")


def test_labels_say_node_and_part() -> None:
    """Every numbered log has a short label; those of a node name it."""
    names = {
        "20_image_build_log.txt": "image-build",
        "55_azureml-execution-gpu-01.txt": "gpu-01:exec",
        "65_job_prep-gpu-01.txt": "gpu-01:prep",
        "75_job_post-local-0.txt": "local-0:post",
        "70_mpi_log.txt": "mpi",
        "99_other.txt": "99_other.txt",
    }
    assert {name: label_of(name, None).text for name in names} == names


def test_process_label() -> None:
    """A process is node:rank once it was announced, its rank alone before."""
    assert label_of("70_driver_log_3.txt", ROW).text == "gpu-01:3"
    unknown = label_of("70_driver_log_3.txt", None)
    assert (unknown.text, unknown.rank, unknown.is_known) == ("3", 3, False)
    main = label_of("70_driver_log.txt", ROW)
    assert (main.text, main.rank) == ("gpu-01:main", 0)


def test_neighbours_differ_in_colour() -> None:
    """Ten neighbouring ranks have ten colours, and always the same ones."""
    colours = [label_of(f"70_driver_log_{rank}.txt", ROW).colour for rank in range(10)]
    assert len(set(colours)) == 10 and colours == [label_of(f"70_driver_log_{n}.txt", ROW).colour for n in range(10)]
