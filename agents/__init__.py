"""Scripted agents for metric_tracker_env, and the evaluation that compares any agents."""

from __future__ import annotations

from agents import analyst, oracle, scripts
from agents.base import AGENTS, Agent, AgentFactory, Script, get_agent, register
from agents.desk import Desk
from agents.evaluate import Evaluation, Interval, evaluate
from agents.signature import NO_INCIDENT, SignatureRule, name_roots

__all__ = [
    "AGENTS",
    "NO_INCIDENT",
    "Agent",
    "AgentFactory",
    "Desk",
    "Evaluation",
    "Interval",
    "Script",
    "SignatureRule",
    "analyst",
    "evaluate",
    "get_agent",
    "name_roots",
    "oracle",
    "register",
    "scripts",
]
