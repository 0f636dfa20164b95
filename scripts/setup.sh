#!/bin/sh
# Make the virtual environment: setup.sh PYTHON DIRECTORY. On Debian, as root, a missing venv module is installed.
set -eu
python=$(sh "$(dirname "$0")/find-python.sh" "$1" || echo "$1")
venv=$2

if ! command -v "$python" >/dev/null 2>&1 || ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    if [ "$python" = python3.11 ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3.11 python3.11-venv
        python=/usr/bin/python3.11
    else
        echo "wlsmtp needs $python with its venv module; name another one with: make PYTHON=python3 …" >&2
        exit 1
    fi
fi

"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[dev,recipes]"
