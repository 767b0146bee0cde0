"""Evaluation of players: play seeds, sum up with intervals, compare, draw."""
