"""The path by which programs, and the rest of the package, import errors; the tree of them in ``results/errors.py``."""

from wlsmtp.results.errors import *  # noqa: F403
