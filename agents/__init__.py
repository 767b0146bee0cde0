"""Players of metric_tracker_env (scripts, saved models, language models) and the evaluation that compares them."""

from __future__ import annotations

from .chat_model.player import ChatModel
from .evaluation.evaluate import Evaluation, evaluate
from .evaluation.intervals import Interval
from .evaluation.leaderboard import leaderboard
from .evaluation.report import Comparison
from .llm.run import LlmRun
from .players.agent import Agent, AgentFactory, AgentPlayer
from .players.books import BooksRun
from .players.models.card import ModelCard, fingerprint, is_model, write_card
from .players.models.mlp import save_mlp
from .players.models.saved import LoadedModel, ModelAgent, load_model
from .players.outcome import Played
from .players.player import Assignment, Player
from .players.policy import Policy, PolicyPlayer
from .players.registry import find_player, register_folder, register_player, register_shelf
from .players.scripts import analyst, calendar_analyst, oracle, simple
from .players.scripts.desk import Desk
from .players.scripts.script import AGENTS, Script, get_agent, register
from .players.scripts.signature import NO_INCIDENT, SignatureRule, name_roots
from .pretrained import pretrained_names
from .tasks import presets
from .training.held_out import evaluate_policy

__all__ = [
    "AGENTS",
    "NO_INCIDENT",
    "Agent",
    "AgentFactory",
    "AgentPlayer",
    "Assignment",
    "BooksRun",
    "ChatModel",
    "Comparison",
    "Desk",
    "Evaluation",
    "Interval",
    "LlmRun",
    "LoadedModel",
    "ModelAgent",
    "ModelCard",
    "Played",
    "Player",
    "Policy",
    "PolicyPlayer",
    "Script",
    "SignatureRule",
    "analyst",
    "calendar_analyst",
    "evaluate",
    "evaluate_policy",
    "find_player",
    "fingerprint",
    "get_agent",
    "is_model",
    "leaderboard",
    "load_model",
    "name_roots",
    "oracle",
    "presets",
    "pretrained_names",
    "register",
    "register_folder",
    "register_player",
    "register_shelf",
    "save_mlp",
    "simple",
    "write_card",
]
