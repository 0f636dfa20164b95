"""Fail unless the types that the package shows to type checkers are complete: type_completeness.py PERCENT."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BIN = Path(sys.executable).parent


def main(least: float) -> str | None:
    """What is wrong, if anything is."""
    command = [str(BIN / "pyright"), "--verifytypes", "wlsmtp", "--ignoreexternal", "--outputjson"]
    environ = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    with (
        tempfile.TemporaryDirectory() as elsewhere
    ):  # from within the project, the package would not be an installed one
        run = subprocess.run(command, cwd=elsewhere, env=environ, capture_output=True, text=True, check=False)
    report = json.loads(run.stdout)["typeCompleteness"]
    score = 100 * report["completenessScore"]
    if score >= least:
        return None
    unclear = [
        symbol["name"]
        for symbol in report["symbols"]
        if symbol["isExported"] and (symbol["isTypeAmbiguous"] or not symbol["isTypeKnown"])
    ]
    return "\n  ".join(
        [f"{score:.1f} % of the types are known, and must be {least:g} %. Others are inferred:", *unclear]
    )


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
