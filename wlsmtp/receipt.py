"""The import path of receipts and outcomes; ``results/receipt.py`` defines them."""

from wlsmtp.results.receipt import *  # noqa: F403
