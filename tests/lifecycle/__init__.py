"""What a session keeps, and where it may be used: forks and event loops."""
