"""The audit: agents that try to buy a score without the work, and what they got."""
