"""The page on which a person plays: ``python -m metric_tracker_env.ui`` (extra ``ui``)."""
