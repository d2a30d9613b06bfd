"""Everything that can be known without running the tests:  python -m tools.check

Runs every step even when an earlier one fails, so that one run names all there is to repair. Needs no server.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.environment import clean_environment

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PYTHON = sys.executable
STEPS = {
    "lint": [PYTHON, "-m", "ruff", "check", "."],
    "format": [PYTHON, "-m", "ruff", "format", "--check", "."],
    "types": [str(BIN / "basedpyright")],
    "import directions": [str(BIN / "lint-imports"), "--no-cache"],
    "migrations": [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"],
    "system check": [PYTHON, "manage.py", "check", "--fail-level", "WARNING"],
    "deploy check": [PYTHON, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="liqui-check-") as home:
        failed = [name for name, command in STEPS.items() if not passes(name, command, home)]
    if failed:
        print(f"liqui: make check failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def passes(name: str, command: list[str], home: str) -> bool:
    environment = clean_environment(os.environ, home)
    if name == "deploy check":
        environment |= deployed()
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    print(f"{'ok    ' if done.returncode == 0 else 'FAILED'}  {name}  ({time.monotonic() - began:.1f} s)", flush=True)
    if done.returncode:
        sys.stdout.buffer.write(done.stdout + b"\n")
        sys.stdout.flush()
    return done.returncode == 0


def deployed() -> dict[str, str]:
    """The settings of a production server; nothing connects to what they name."""
    return {
        "ALLOWED_HOSTS": "example.org",
        "DATABASE_URL": "mysql://liqui:secret@database.example.org:3306/liqui",
        "HTTPS_ONLY": "1",
        "REDIS_URL": "redis://redis.example.org:6379/0",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "JWT_SECRET": secrets.token_urlsafe(50),
    }


if __name__ == "__main__":
    sys.exit(main())
