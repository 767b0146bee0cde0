"""What is normal in a history: its level, patterns and noise, and a world like it."""

from __future__ import annotations

from metric_tracker_env.fitting.fit import HistoryFit, Unusual, fit_history
from metric_tracker_env.fitting.holiday_effects import ExpectedChanges, HolidayEffect, expected_changes, holiday_effects
from metric_tracker_env.fitting.parameters import FittedParameters, FittedStep

__all__ = [
    "ExpectedChanges",
    "FittedParameters",
    "FittedStep",
    "HistoryFit",
    "HolidayEffect",
    "Unusual",
    "expected_changes",
    "fit_history",
    "holiday_effects",
]
