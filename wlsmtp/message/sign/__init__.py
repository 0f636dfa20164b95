"""Signatures on messages that are already written."""
