"""Settings: what they are, where they come from (keywords, URLs, the environment, a provider's name), and when they are
wrong. ``config`` has those of a session."""
