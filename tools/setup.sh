#!/bin/sh
# Finds a supported Python and hands over to tools/setup.py:  sh tools/setup.sh base|server|dev
# PYTHON names the interpreter; otherwise the one in .venv, or the first on the PATH that fits, is taken.
set -u

version() { "$1" -c 'import sys; print(".".join(map(str, sys.version_info[:3])))' 2>/dev/null; }
supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }
makes_venvs() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }
fail() { echo "liqui: $*" >&2; exit 1; }

if [ -n "${PYTHON:-}" ]; then
    command -v "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON is not a program on this machine."
    supported "$PYTHON" || fail "PYTHON=$PYTHON is version $(version "$PYTHON"); Python 3.11, 3.12 or 3.13 is needed."
    exec "$PYTHON" tools/setup.py "$@"
fi

[ -x .venv/bin/python ] && supported .venv/bin/python && exec .venv/bin/python tools/setup.py "$@"
without_venv=""
for python in python3 python3.13 python3.12 python3.11; do
    supported "$python" || continue
    makes_venvs "$python" && exec "$python" tools/setup.py "$@"
    without_venv="${without_venv:-$python}"
done
if [ -n "$without_venv" ]; then
    exec "$without_venv" tools/setup.py "$@" # says which package is missing
fi
found=$(version python3)
fail "Python 3.11, 3.12 or 3.13 is needed; python3 is ${found:-missing}. Install one, for example:" \
    "sudo apt-get install python3.13 python3.13-venv (or python3.12, python3.11), or name it: make PYTHON=…"
