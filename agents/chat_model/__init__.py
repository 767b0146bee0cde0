"""A small language model of one's own, which learns to play in words from demonstrations alone."""
