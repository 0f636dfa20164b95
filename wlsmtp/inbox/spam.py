"""Asks a spam filter of this machine, if one is installed: ``spamassassin`` with local tests only, or ``rspamc``."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

TIMEOUT = 30.0
_SCORE = re.compile(r"^X-Spam-Status: (Yes|No), score=(-?\d+(?:\.\d+)?)", re.MULTILINE)
_RULE = re.compile(r"^ ?\*? *(-?\d+(?:\.\d+)?) +([A-Z][A-Z0-9_]+) +(\S.*)$", re.MULTILINE)


def installed() -> str | None:
    """The program that would be asked."""
    return next((name for name in ("spamassassin", "rspamc") if shutil.which(name)), None)


def score(raw: bytes) -> dict[str, Any]:
    """The score of a message, in the form of Mailpit's API; ``Error`` says what prevents one."""
    name = installed()
    if name is None:
        return _failed("Neither spamassassin nor rspamc is installed.")
    # -L: local tests only, so that nothing that the mail names is asked for.
    command = ["spamassassin", "-L", "-t"] if name == "spamassassin" else ["rspamc", "--json", "symbols"]
    try:
        ended = subprocess.run(command, input=raw, capture_output=True, timeout=TIMEOUT, check=False)
        answer = ended.stdout.decode("utf-8", "replace")
        return _of_spamassassin(answer) if name == "spamassassin" else _of_rspamd(answer)
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        return _failed(f"{name}: {error}")


def _failed(words: str) -> dict[str, Any]:
    return {"Error": words, "IsSpam": False, "Score": 0.0, "Rules": []}


def _of_spamassassin(answer: str) -> dict[str, Any]:
    found = _SCORE.search(answer.replace("\n\t", " "))
    if found is None:
        return _failed("spamassassin gave no score.")
    rules = [
        {"Score": float(score), "Name": name, "Description": words.strip()}
        for score, name, words in _RULE.findall(answer.rpartition("Content analysis details:")[2])
    ]
    return {"Error": "", "IsSpam": found[1] == "Yes", "Score": float(found[2]), "Rules": rules}


def _of_rspamd(answer: str) -> dict[str, Any]:
    told = json.loads(answer)
    rules = [
        {"Score": one["score"], "Name": one["name"], "Description": one.get("description", "")}
        for one in told["symbols"].values()
    ]
    is_spam = told["action"] not in ("no action", "greylist")
    return {"Error": "", "IsSpam": is_spam, "Score": told["score"], "Rules": rules}
