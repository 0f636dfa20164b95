#!/bin/sh
# Prints a Python that works, of the first NAME for which there is one: find-python.sh NAME …, such as python3.13. It may be in
# the path, or a version that pyenv has installed and not switched on (then what is in the path is a shim that fails).
for name in "$@"; do
    for python in "$name" "${PYENV_ROOT:-$HOME/.pyenv}/versions/${name#python}".*/bin/python3; do
        if "$python" -c 'import ensurepip, venv, sqlite3, ssl' >/dev/null 2>&1; then
            echo "$python"
            exit 0
        fi
    done
done
exit 1
