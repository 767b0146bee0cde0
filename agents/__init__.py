"""Scripted agents for metric_tracker_env, saved models, and the evaluation that compares any of them."""

from __future__ import annotations

from agents import analyst, oracle, scripts
from agents.base import AGENTS, Agent, AgentFactory, Script, get_agent, register
from agents.desk import Desk
from agents.evaluate import Evaluation, evaluate, evaluate_policy
from agents.intervals import Interval
from agents.leaderboard import leaderboard
from agents.models import (
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
from agents.report import Comparison
from agents.signature import NO_INCIDENT, SignatureRule, name_roots

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
    "scripts",
    "write_card",
]
