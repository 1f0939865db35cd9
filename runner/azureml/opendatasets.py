"""Two of Azure's open data sets that v1's tutorials use (azureml-v1.md 7.2)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from runner.sdk.exceptions import UserErrorException

if TYPE_CHECKING:
    from runner.sdk.data.file_dataset import FileDataset
    from runner.sdk.data.tabular_dataset import TabularDataset

_MNIST = "https://azureopendatastorage.blob.core.windows.net/mnist"
_MNIST_FILES = ("t10k-images-idx3", "t10k-labels-idx1", "train-images-idx3", "train-labels-idx1")


class MNIST:
    """Handwritten digits."""

    @staticmethod
    def get_file_dataset(dataset_filter: str = "all", **_: Any) -> FileDataset:
        """The four files, which are fetched from Azure's public store when they are first read."""
        from runner.sdk.data.dataset import Dataset

        kinds = {"all": "", "train": "train-", "test": "t10k-"}
        files = [name for name in _MNIST_FILES if name.startswith(kinds[dataset_filter])]
        return Dataset.File.from_files([f"{_MNIST}/{name}-ubyte.gz" for name in files])


class Diabetes:
    """442 patients with ten measurements and the target `Y`; scikit-learn brings the same table."""

    @staticmethod
    def get_tabular_dataset(**_: Any) -> TabularDataset:
        """The table. Raises UserErrorException where scikit-learn or pandas is not installed."""
        from runner.sdk.data.abstract import written_once
        from runner.sdk.data.dataset import Dataset

        def write(place: str) -> None:
            try:
                datasets: Any = importlib.import_module("sklearn.datasets")
                frame = datasets.load_diabetes(as_frame=True, scaled=False).frame
            except ImportError as error:
                raise UserErrorException("Diabetes needs scikit-learn and pandas: pip install them.", error) from error
            frame.columns = ["AGE", "SEX", "BMI", "BP", "S1", "S2", "S3", "S4", "S5", "S6", "Y"]
            frame.to_csv(place, index=False)

        return Dataset.Tabular.from_delimited_files(written_once("opendatasets-diabetes", "diabetes.csv", write))
