"""Pictures of mail, taken by a Chromium that is there. It loads nothing from elsewhere, and runs no scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from wlsmtp.errors import ConfigError, Stage

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
TIMEOUT = 60.0


def screenshot(page: str, path: str | os.PathLike[str], *, width: int, height: int) -> Path:
    """Write a PNG of an HTML document, as wide and high as a window of that many pixels; returns its path. Raises
    ``ConfigError`` if there is no Chromium."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise ConfigError(f"screenshot: none of {', '.join(PROGRAMS)} is installed", stage=Stage.SETTINGS)
    page = page.replace("<head>", f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">', 1)
    target = Path(path).absolute()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "mail.html")
        source.write_text(page, encoding="utf-8")
        command = [
            program, "--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            f"--user-data-dir={folder}/profile", "--disable-background-networking",
            "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--window-size={width},{height}", f"--screenshot={target}",
        ]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium refuses to start as root with it
        ended = subprocess.run([*command, source.as_uri()], capture_output=True, timeout=TIMEOUT, check=False)
    if ended.returncode or not target.is_file():
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ConfigError(
            f"screenshot: {program} failed: {said[-1] if said else ended.returncode}", stage=Stage.SETTINGS
        )
    return target
