"""Episodes as moving pictures: ``python -m agents film``."""
