"""Strategies that carry a message out. A transport is one class with one method, ``deliver``; see ``base``."""
