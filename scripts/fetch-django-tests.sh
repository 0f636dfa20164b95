#!/bin/sh
# Unpacks Django's own tests of its mail, of the version that PYTHON has, from its source distribution on PyPI:
# fetch-django-tests.sh PYTHON. They go to .servers/django-tests/VERSION. Where PyPI cannot be reached this says so and
# succeeds, and the tests that need them say so too.
set -eu
cd "$(dirname "$0")/.."
python=$1
version=$("$python" -c 'import django; print(django.__version__)')
there=.servers/django-tests/$version
[ -d "$there/mail" ] && exit 0
mkdir -p "$there"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary django --dest "$work" "django==$version"; then
    echo "The source of Django $version cannot be fetched, so its own tests are not run." >&2
    exit 0
fi
"$python" - "$work" "$there" <<'END'
import sys, tarfile
from pathlib import Path

work, there = map(Path, sys.argv[1:])
with tarfile.open(next(work.glob("*.tar.gz"))) as source:
    for member in source.getmembers():
        parts = Path(member.name).parts
        if parts[1:3] == ("tests", "mail"):
            member.name = str(Path(*parts[2:]))
            source.extract(member, there, filter="data")
END
