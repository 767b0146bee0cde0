"""Training runs with stable-baselines3: settings, checkpoints, curves."""
