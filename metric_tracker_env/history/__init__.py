"""A user's own funnel: read from files, frames, SQL and event logs, and checked."""

from __future__ import annotations

from metric_tracker_env.history.errors import HistoryError
from metric_tracker_env.history.holiday_calendar import HolidayWindow, holiday_windows
from metric_tracker_env.history.reading import read_history
from metric_tracker_env.history.record import History

__all__ = ["History", "HistoryError", "HolidayWindow", "holiday_windows", "read_history"]
