"""Receipts and outcomes; see ``results/receipt.py``."""

from wlsmtp.results.receipt import *  # noqa: F403
