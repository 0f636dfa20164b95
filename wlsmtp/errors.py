"""The import path of the errors; ``results/errors.py`` defines them."""

from wlsmtp.results.errors import *  # noqa: F403
