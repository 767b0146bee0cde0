"""The world: from an episode's key to its data, its incidents and the class of every cell."""
