"""Everything that can go wrong, as one tree; see ``results/errors.py``."""

from wlsmtp.results.errors import *  # noqa: F403
