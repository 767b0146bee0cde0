"""What plays: the protocol and the registry of players, scripts, and saved models."""
