"""TabularDataset: rows of CSV, Parquet and JSON Lines files, read by pandas when somebody asks (azureml-v1.md 7)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from runner.sdk.data.abstract import AbstractDataset
from runner.sdk.exceptions import DatasetTimestampMissingError, UserErrorException


class TabularDataset(AbstractDataset):
    """A table; every change of it is a step that is taken when it is read."""

    is_files = False
    _kind = "Tabular"

    def to_pandas_dataframe(self, on_error: str = "null", out_of_range_datetime: str = "null") -> Any:
        """The rows. Raises UserErrorException where pandas is not installed."""
        pandas = _pandas()
        frames = [self._read(pandas, file) for _, file in self._files()]
        if not frames:
            raise UserErrorException(f"There are no files at {', '.join(self._sources)}.")
        frame = frames[0] if len(frames) == 1 else pandas.concat(frames, ignore_index=True)
        for step, *values in self._steps:
            frame = _STEPS[step](frame, *values)
        return frame.reset_index(drop=True)

    def _read(self, pandas: Any, file: str) -> Any:
        kind = self._about.get("format")
        if kind == "parquet":
            frame = pandas.read_parquet(file)
        elif kind == "json":
            frame = pandas.read_json(file, lines=True)
        else:
            header = 0 if self._about.get("header", True) else None
            types = dict.fromkeys(self._about.get("text_columns") or (), "str")
            frame = pandas.read_csv(
                file,
                sep=self._about.get("separator") or ",",
                header=header,
                encoding=self._about.get("encoding") or "utf-8",
                dtype=types if self._about.get("infer", True) else "str",
            )
            if header is None:
                frame.columns = [f"Column{number}" for number in range(1, frame.shape[1] + 1)]
            for column in self._about.get("time_columns") or ():
                frame[column] = pandas.to_datetime(frame[column])
        if self._about.get("include_path"):
            frame.insert(0, "Path", f"/{os.path.basename(file)}")
        return frame

    def take(self, count: int) -> TabularDataset:
        """The first rows."""
        return self._copy(["take", count])

    def skip(self, count: int) -> TabularDataset:
        """All but the first rows."""
        return self._copy(["skip", count])

    def drop_columns(self, columns: str | Sequence[str]) -> TabularDataset:
        """All columns but these."""
        return self._copy(["drop", _listed(columns)])

    def keep_columns(self, columns: str | Sequence[str], validate: bool = False) -> TabularDataset:
        """These columns, in their order in the table."""
        return self._copy(["keep", _listed(columns)])

    def random_split(self, percentage: float, seed: int | None = None) -> tuple[TabularDataset, TabularDataset]:
        """Two tables, the first with about this share of the rows; always the same two for a seed."""
        seed = 0 if seed is None else seed
        return self._copy(["split", percentage, seed, True]), self._copy(["split", percentage, seed, False])

    def take_sample(self, probability: float, seed: int | None = None) -> TabularDataset:
        """About this share of the rows."""
        return self.random_split(probability, seed)[0]

    def with_timestamp_columns(
        self, timestamp: str | None = None, partition_timestamp: str | None = None, validate: bool = False, **_: Any
    ) -> TabularDataset:
        """Says which column tells the time of a row."""
        changed = self._copy()
        changed._about = {**self._about, "timestamp": timestamp}
        return changed

    @property
    def timestamp_columns(self) -> tuple[str | None, str | None]:
        """The column that tells the time of a row, if one was said."""
        return self._about.get("timestamp"), None

    def time_after(self, start_time: datetime, include_boundary: bool = True, validate: bool = True) -> TabularDataset:
        """The rows from a time on. Raises DatasetTimestampMissingError where no column tells the time."""
        return self._copy(["time", self._timestamp(), start_time.isoformat(), None, include_boundary])

    def time_before(self, end_time: datetime, include_boundary: bool = True, validate: bool = True) -> TabularDataset:
        """The rows up to a time. Raises DatasetTimestampMissingError where no column tells the time."""
        return self._copy(["time", self._timestamp(), None, end_time.isoformat(), include_boundary])

    def time_between(
        self, start_time: datetime, end_time: datetime, include_boundary: bool = True, validate: bool = True
    ) -> TabularDataset:
        """The rows between two times. Raises DatasetTimestampMissingError where no column tells the time."""
        return self._copy(["time", self._timestamp(), start_time.isoformat(), end_time.isoformat(), include_boundary])

    def time_recent(
        self, time_delta: timedelta, include_boundary: bool = True, validate: bool = True
    ) -> TabularDataset:
        """The rows of the last time span, counted from now."""
        return self.time_after(datetime.now() - time_delta, include_boundary)

    def to_csv_files(self, separator: str = ",") -> Any:
        """The rows as a CSV file, as a data set of files."""
        from runner.sdk.data.written import written

        return written(self, "csv", separator)

    def to_parquet_files(self) -> Any:
        """The rows as a Parquet file, as a data set of files."""
        from runner.sdk.data.written import written

        return written(self, "parquet", ",")

    def _timestamp(self) -> str:
        column = self._about.get("timestamp")
        if column is None:
            raise DatasetTimestampMissingError("No column tells the time of a row: call with_timestamp_columns first.")
        return str(column)


def _listed(columns: str | Sequence[str]) -> list[str]:
    return [columns] if isinstance(columns, str) else list(columns)


def _pandas() -> Any:
    import importlib

    try:
        return importlib.import_module("pandas")
    except ImportError as error:
        raise UserErrorException("pandas reads tables, and it is not installed: pip install pandas", error) from error


def _split(frame: Any, percentage: float, seed: int, is_first: bool) -> Any:
    import random

    draw = random.Random(seed)  # noqa: S311 - a choice of rows, no secret
    return frame[[(draw.random() < percentage) == is_first for _ in range(len(frame))]]


def _between(frame: Any, column: str, start: str | None, end: str | None, includes: bool) -> Any:
    pandas = _pandas()
    times = pandas.to_datetime(frame[column])
    if start is not None:
        bound = pandas.Timestamp(start)
        frame, times = _both(frame, times, times >= bound if includes else times > bound)
    if end is not None:
        bound = pandas.Timestamp(end)
        frame, times = _both(frame, times, times <= bound if includes else times < bound)
    return frame


def _both(frame: Any, times: Any, mask: Any) -> tuple[Any, Any]:
    return frame[mask], times[mask]


_STEPS: dict[str, Any] = {
    "take": lambda frame, count: frame.head(count),
    "skip": lambda frame, count: frame.iloc[count:],
    "drop": lambda frame, columns: frame.drop(columns=columns),
    "keep": lambda frame, columns: frame[[column for column in frame.columns if column in columns]],
    "split": _split,
    "time": _between,
}
