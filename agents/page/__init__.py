"""The page that watches and compares what agents have played: ``python -m agents page``."""
