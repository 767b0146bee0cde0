"""Scripted agents, from the one that does nothing to the one that is told the truth."""
