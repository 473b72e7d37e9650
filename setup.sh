#!/bin/sh
# Makes .venv with every distribution of this workspace in it, and, when root, the Debian packages that the tests drive.
# usage: setup.sh PYTHON DIST...
set -eu
python=$1
shift
need=""
command -v mke2fs >/dev/null 2>&1 || [ -x /sbin/mke2fs ] || need="$need e2fsprogs"
command -v losetup >/dev/null 2>&1 || [ -x /sbin/losetup ] || need="$need util-linux mount"
"$python" -c 'import ensurepip, venv' 2>/dev/null || need="$need python3-venv"
if [ -n "$need" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq
        # shellcheck disable=SC2086  # a list of words is meant
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need
    else
        echo "setup: missing:$need. Install them, or run as root once." >&2
        exit 1
    fi
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "setup: Python 3.11 or newer is needed" >&2; exit 1; }
[ -x .venv/bin/python ] || "$python" -m venv .venv
set -- $(for dist; do printf -- '-e ./%s ' "$dist"; done)
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c constraints.txt "$@" \
    zstandard blake3 hypothesis pytest pytest-timeout ruff mypy import-linter jsonschema
