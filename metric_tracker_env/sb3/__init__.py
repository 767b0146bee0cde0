"""For stable-baselines3: a ``VecEnv`` over the vector engine, and a policy for each view (extra ``sb3``)."""

from __future__ import annotations

try:
    import sb3_contrib as _sb3_contrib
    import stable_baselines3 as _stable_baselines3
except ImportError as error:
    raise ImportError(
        f"metric_tracker_env.sb3 needs stable-baselines3 and sb3-contrib ({error}); "
        "install them with: pip install 'metric_tracker_env[sb3]'"
    ) from error

from metric_tracker_env.sb3.focus_policy import FocusPolicy, focus_policy_kwargs
from metric_tracker_env.sb3.policies import BoardPolicy, board_policy_kwargs
from metric_tracker_env.sb3.vec_env import MetricTrackerVecEnv

del _sb3_contrib, _stable_baselines3

__all__ = ["BoardPolicy", "FocusPolicy", "MetricTrackerVecEnv", "board_policy_kwargs", "focus_policy_kwargs"]
