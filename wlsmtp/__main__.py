"""``python -m wlsmtp`` is the ``wlsmtp`` command."""

from wlsmtp.cli import main

if __name__ == "__main__":
    main()
