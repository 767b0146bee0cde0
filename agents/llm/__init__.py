"""Language models that call tools: an endpoint, an episode, the folder of a run, and the command."""
