"""Saved models: a folder with a card, which says what the model plays, and the weights.

A model of policy "mlp" is read by NumPy alone. One of policy "sb3" is stable-baselines3's own zip, which holds
pickled code: load only files that you trust.
"""
