"""Scripted agents for metric_tracker_env, saved models, and the evaluation that compares any of them."""

from __future__ import annotations

from agents.evaluation.evaluate import Evaluation, evaluate, evaluate_policy
from agents.evaluation.intervals import Interval
from agents.evaluation.leaderboard import leaderboard
from agents.evaluation.report import Comparison
from agents.players.models import (
    LoadedModel,
    ModelAgent,
    ModelCard,
    Policy,
    fingerprint,
    is_model,
    load_model,
    save_mlp,
    write_card,
)
from agents.players.scripts import analyst, oracle, simple
from agents.players.scripts.desk import Desk
from agents.players.scripts.script import AGENTS, Agent, AgentFactory, Script, get_agent, register
from agents.players.scripts.signature import NO_INCIDENT, SignatureRule, name_roots

__all__ = [
    "AGENTS",
    "NO_INCIDENT",
    "Agent",
    "AgentFactory",
    "Comparison",
    "Desk",
    "Evaluation",
    "Interval",
    "LoadedModel",
    "ModelAgent",
    "ModelCard",
    "Policy",
    "Script",
    "SignatureRule",
    "analyst",
    "evaluate",
    "evaluate_policy",
    "fingerprint",
    "get_agent",
    "is_model",
    "leaderboard",
    "load_model",
    "name_roots",
    "oracle",
    "register",
    "save_mlp",
    "simple",
    "write_card",
]
