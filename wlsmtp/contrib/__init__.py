"""Adapters to other packages, one file each. Nothing in the core imports them; each is imported by its own name."""
