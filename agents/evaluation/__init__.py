"""Evaluation: play seeds, sum up with intervals, compare, draw."""
