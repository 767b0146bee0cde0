"""A person plays in a terminal: the same investigation, calls and grade that agents have."""
