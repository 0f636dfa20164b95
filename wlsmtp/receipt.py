"""The path by which programs, and the rest of the package, import receipts and outcomes (``results/receipt.py``)."""

from wlsmtp.results.receipt import *  # noqa: F403
