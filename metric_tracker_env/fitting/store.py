"""The file of a fitted history: what replaying it needs, in one ``.npz`` that is the same for the same history."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metric_tracker_env.fitting.holiday_effects import ExpectedChanges

FORMAT = 2  # of the file


@dataclass(frozen=True)
class FittedHistory:
    """A history of N days with what was expected of them; S steps."""

    steps: tuple[str, ...]
    dates: np.ndarray  # (N,) datetime64[D], without a gap
    counts: np.ndarray  # (N, H, S) int64 events; H is 24, or 1 in daily data
    known: np.ndarray  # (N,) bool, days whose counts are the source's own
    expected: np.ndarray  # (N, S) float64 events a day: level x weekday; 0 on days that are closed
    share: np.ndarray  # (N,) float64 expected daytime share; 0 where none is known
    held_out: int  # index of the first day that is held out; N for none
    near_holidays: ExpectedChanges  # what was known of the days before they came

    def to_bytes(self) -> bytes:
        """The file: arrays without any pickle and without a time, so that its digest tells the history."""
        file = io.BytesIO()
        np.savez(
            file,
            format=np.int64(FORMAT),
            steps=np.array(self.steps, np.str_),
            dates=self.dates.astype("datetime64[D]").astype(np.int64),
            counts=self.counts.astype(np.int64),
            known=self.known.astype(bool),
            expected=self.expected.astype(np.float64),
            share=self.share.astype(np.float64),
            held_out=np.int64(self.held_out),
            moved_measure=self.near_holidays.measure.astype(np.int64),
            moved_by=self.near_holidays.change.astype(np.float64),
        )
        return file.getvalue()


def digest(content: bytes) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_fitted(path: str | os.PathLike[str], sha256: str) -> FittedHistory:
    """Read a fitted history, and make sure that it is the very one.

    Raises:
        ValueError: if there is no such file, it is another one, or it holds no fitted history.
    """
    file = Path(path).expanduser()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"replay: path {str(file)!r} cannot be read: {error.strerror or error}") from error
    found = digest(content)
    if found != sha256:
        raise ValueError(f"replay: path {str(file)!r} has the sha256 {found}, and not {sha256}; fit the history again")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            number = int(held["format"])
            if number != FORMAT:
                raise ValueError(f"format {number}; this version reads {FORMAT}")
            fitted = FittedHistory(
                steps=tuple(held["steps"].tolist()),
                dates=held["dates"].astype("datetime64[D]"),
                counts=held["counts"],
                known=held["known"],
                expected=held["expected"],
                share=held["share"],
                held_out=int(held["held_out"]),
                near_holidays=ExpectedChanges(held["moved_measure"], held["moved_by"]),
            )
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"replay: path {str(file)!r} holds no fitted history: {error}") from error
    days, steps = len(fitted.dates), len(fitted.steps)
    shapes = (fitted.counts.shape[::2], fitted.known.shape, fitted.expected.shape, fitted.share.shape)
    shapes += tuple(array.shape for array in fitted.near_holidays)
    if shapes != ((days, steps), (days,), (days, steps), *[(days,)] * 3) or not 0 <= fitted.held_out <= days:
        raise ValueError(f"replay: path {str(file)!r} holds no fitted history: arrays of the shapes {shapes}")
    return fitted
