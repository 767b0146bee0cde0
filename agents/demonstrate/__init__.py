"""Demonstrations: what experts did, as data that others learn from."""
