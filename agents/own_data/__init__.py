"""A user's own history: fitted once, watched every day."""
