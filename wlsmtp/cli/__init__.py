"""The command ``wlsmtp``: only the entry point, so that it works without its extra installed; see ``app.py``."""

from __future__ import annotations

import sys

_EXTRA = {"typer", "rich", "click"}


def main() -> None:
    """Run the command line; the console script ``wlsmtp``. Exits the process with the command's exit code."""
    try:
        _run()
    except KeyboardInterrupt:  # also while modules are imported
        raise SystemExit(130) from None


def _run() -> None:
    if sys.argv[1:2] == ["inbox"]:  # needs no other extra than its own
        from wlsmtp.inbox.command import main as run_inbox

        raise SystemExit(run_inbox(sys.argv[2:]))
    try:
        from wlsmtp.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write('The wlsmtp command needs: pip install "wlsmtp[cli]"\n')
        raise SystemExit(1) from None
    from wlsmtp.cli.screen import masked, open_missing_streams, tolerate_any_encoding

    open_missing_streams()
    tolerate_any_encoding()
    try:
        app()
    except OSError as error:
        sys.stderr.write(masked(f"wlsmtp: {error.strerror or type(error).__name__}") + "\n")
        raise SystemExit(1) from None
    except Exception as error:
        # A traceback does not help people who send mail, and some of its lines may contain a secret.
        sys.stderr.write(masked(f"wlsmtp: internal error, {type(error).__name__}: {error}") + "\n")
        raise SystemExit(1) from None
