"""Write each Python example of README and docs into a file of its own, for type checkers: docs_examples.py DIRECTORY.

A file has its example on the lines where the page has it, so that what a type checker says leads back to the page. An
example below the comment "goes on …" is in the file of the one before it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FENCE = re.compile(
    r'^(<!-- goes on .* -->\n)?```python(?: title="(?!before: |cell )[^"]*")?\n(.*?)^```', re.MULTILINE | re.DOTALL
)
"""Not what is written for other libraries, nor the cells of a notebook, which await at the top."""


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    written = set()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        name = "_".join(page.relative_to(ROOT).with_suffix("").parts).replace("-", "_")
        for found in FENCE.finditer(text):
            line = text.count("\n", 0, found.start(2))
            if found[1] is None:
                file, example = directory / f"{name}_{line + 1}.py", ""
            example += "\n" * (line - example.count("\n")) + found[2]
            file.write_text(example, encoding="utf-8")
            written.add(file)
    for stale in set(directory.glob("*.py")) - written:
        stale.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
