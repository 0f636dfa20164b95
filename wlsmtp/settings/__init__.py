"""Settings: their models, their sources (keywords, URLs, the environment, a provider's name), and their validation.
``config`` has the settings of a session."""
