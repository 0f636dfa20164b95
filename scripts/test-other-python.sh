#!/bin/sh
# Runs the tests that touch the interpreter (sqlite3, asyncio, ssl, email, threads, forks) with one more version of Python
# than the one that the whole suite runs with, and says which: test-other-python.sh PYTHON, or none for the newest that is
# installed. Where none is installed, this says so and succeeds.
set -eu
cd "$(dirname "$0")/.."

if [ -n "${1:-}" ]; then
    python=$(sh scripts/find-python.sh "$1" || echo "$1")
else
    python=$(sh scripts/find-python.sh python3.13 python3.12 || true)
fi
if [ -z "$python" ]; then
    echo "No other version of Python is installed, so the tests ran with one only."
    exit 0
fi
version=$("$python" -c 'import platform; print(platform.python_version())')
venv=.venv-$version
if ! cmp -s scripts/test-other-python.sh "$venv/.installed"; then
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        -e ".[idna,testing,certifi,scram,ntlm,smime,tls,postgres,calendar,html,templates]" hypothesis pytest-timeout \
        "django>=5.2,<6" "flask-mail>=0.10" aiosmtpd anyio dkimpy pynacl python-gnupg python-multipart starlette trio
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --target "$venv/django-6" "django>=6.1,<7"
    cp scripts/test-other-python.sh "$venv/.installed"
fi
sh scripts/install-mail-readers.sh
echo "Some tests once more, with Python $version:"
"$venv/bin/python" -m pytest -q -m "not real" tests/lifecycle tests/io tests/test_tls.py tests/test_session.py \
    tests/outbox/test_sqlite.py tests/outbox/test_sqlite_read_only.py tests/outbox/test_stores.py \
    tests/transports/test_cancellation.py tests/transports/test_interrupts.py tests/smtp/test_authentication.py tests/message tests/corpus tests/cpython
echo "Adapters once more, with the newest Django:"
export PYTHONPATH="$PWD/$venv/django-6"
sh scripts/fetch-django-tests.sh "$venv/bin/python"
exec "$venv/bin/python" -m pytest -q tests/contrib/test_django*.py tests/contrib/test_logging.py
