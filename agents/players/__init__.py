"""What plays: scripts and saved models."""
