"""Signatures on messages that are written already."""
