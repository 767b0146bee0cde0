"""Playing by calling tools by name: the session behind every door for agents that use words."""

from metric_tracker_env.session.answers import NOT_BEGUN, Answer, PlayedEpisode, Standing
from metric_tracker_env.session.brief import REFUSAL_COST, REMINDER, brief
from metric_tracker_env.session.schemas import CALLS, call_schemas
from metric_tracker_env.session.scored import ScoredSession
from metric_tracker_env.session.session import Session

__all__ = [
    "CALLS",
    "NOT_BEGUN",
    "REFUSAL_COST",
    "REMINDER",
    "Answer",
    "PlayedEpisode",
    "ScoredSession",
    "Session",
    "Standing",
    "brief",
    "call_schemas",
]
