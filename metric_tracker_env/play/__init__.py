"""The play: from episodes to actions, observations and rewards, for many lanes at once."""
