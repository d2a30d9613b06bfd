"""Makes .venv and keeps it in step with requirements/*.txt:  python tools/setup.py base|server|dev

Uses the standard library only. When nothing has changed since the last time it does nothing and takes no time.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools import packages

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements"
BASE_PYTHON = getattr(sys, "_base_executable", "") or sys.executable
VERSION = "{}.{}".format(*sys.version_info[:2])
NAMES_A_DATABASE_SERVER = re.compile(r"(export\s+)?(DATABASE_URL\s*=\s*[\"']?mysql|DB_HOST\s*=\s*[\"']?\w)")
MYSQL_HELP = "mysqlclient, which talks to MySQL and MariaDB, has to be compiled here"


class SetupFailed(Exception):
    """Ends the set-up; the text is all that a user sees."""


def main(level: str) -> None:
    """Bring .venv up to ``level``: "base" is what runs the service, "server" adds production's, "dev" is everything."""
    with one_at_a_time():
        if level == "base":
            set_up("base")
            if wants_mysql(os.environ):
                set_up("mysql")
        else:
            set_up(level, may_install_packages=True)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    folder = os.open(REQUIREMENTS, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def wants_mysql(variables: Mapping[str, str]) -> bool:
    """Whether the environment, or the .env file that settings read, names a MySQL or MariaDB server."""
    path = Path(variables.get("LIQUI_ENV_FILE", str(ROOT / ".env")) or os.devnull)
    lines = [f"{name}={value}" for name, value in variables.items()]
    lines += path.read_text(errors="replace").splitlines() if path.is_file() else []
    return any(NAMES_A_DATABASE_SERVER.match(line.strip()) for line in lines)


def set_up(level: str, *, may_install_packages: bool = False) -> None:
    wanted = fingerprint()
    if any(read(stamp(name)) == wanted for name in ("dev", level)) and venv_works():
        return
    make_venv()
    if level != "base":
        install_mysqlclient(may_install_packages)
    print(f"liqui: installing requirements/{level}.txt into .venv …", flush=True)
    if pip("install", "-qq", "-r", str(REQUIREMENTS / f"{level}.txt")).returncode:
        raise SetupFailed(f"pip could not install requirements/{level}.txt; its reasons are above.")
    stamp(level).write_text(wanted)


def fingerprint() -> str:
    """Changes with the interpreter and with any requirements file."""
    digest = hashlib.sha256(f"{VERSION}\n".encode())
    for path in sorted(REQUIREMENTS.glob("*.txt")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def stamp(level: str) -> Path:
    return VENV / f".liqui-{level}"


def read(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def venv_version() -> str:
    """The Python version ("3.12") that .venv was made with, or nothing."""
    found = re.search(r"^version\w*\s*=\s*(\d+\.\d+)", read(VENV / "pyvenv.cfg"), re.MULTILINE)
    return found[1] if found else ""


def venv_works() -> bool:
    # A venv whose interpreter was removed or upgraded away leaves a dangling link.
    return (VENV / "bin" / "python").exists() and venv_version() == VERSION


def make_venv() -> None:
    """Create .venv, or create it anew when it is of another Python or was left half made."""
    if venv_works() and pip("--version", quiet=True).returncode == 0:
        return
    try:
        import ensurepip  # noqa: F401 Debian's python3 comes without it
        import venv  # noqa: F401
    except ImportError:
        raise SetupFailed(
            f"Python {VERSION} here cannot make virtual environments; install: sudo apt-get install "
            f"{'python3-venv' if is_system_python() else f'python{VERSION}-venv'}"
        ) from None
    print(f"liqui: making .venv with Python {VERSION} …", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    done = subprocess.run([BASE_PYTHON, "-m", "venv", str(VENV)], capture_output=True, text=True)
    if done.returncode:
        raise SetupFailed(f"making .venv failed: {(done.stderr or done.stdout).strip()}")


def is_system_python() -> bool:
    return os.path.realpath("/usr/bin/python3") == os.path.realpath(BASE_PYTHON)


def pip(*arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    command = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", *arguments]
    output, errors = (subprocess.PIPE, subprocess.STDOUT) if quiet else (None, None)
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, text=True)


def install_mysqlclient(may_install_packages: bool) -> None:
    """Install mysql.txt; when it cannot be compiled, install the compiler first, or say which packages to install."""
    arguments = ("install", "-qq", "-r", str(REQUIREMENTS / "mysql.txt"))
    done = pip(*arguments, quiet=True)
    if done.returncode == 0:
        return
    missing = build_packages_missing()
    if not missing:
        sys.stderr.write(done.stdout)
        raise SetupFailed("pip could not install requirements/mysql.txt; its reasons are above.")
    if not may_install_packages:
        raise SetupFailed(f"{MYSQL_HELP}; install: sudo apt-get install {' '.join(missing)}")
    packages.install(missing, MYSQL_HELP)
    if pip(*arguments).returncode:
        raise SetupFailed("pip could not install requirements/mysql.txt; its reasons are above.")


def build_packages_missing() -> list[str]:
    """The Debian packages that compiling mysqlclient needs and that are not here."""
    header = Path(sysconfig.get_path("include", vars={"installed_base": sys.base_prefix})) / "Python.h"
    has_client = any(
        subprocess.run(["pkg-config", "--exists", name], capture_output=True).returncode == 0
        for name in ("libmariadb", "mysqlclient", "mariadb")
        if shutil.which("pkg-config")
    )
    needs = {
        "gcc": shutil.which("gcc") or shutil.which("cc"),
        "pkg-config": shutil.which("pkg-config"),
        "python3-dev" if is_system_python() else f"python{VERSION}-dev": header.is_file(),
        "libmariadb-dev": has_client,
    }
    return [name for name, present in needs.items() if not present]


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "base")
    except (SetupFailed, packages.PackagesMissing) as error:
        sys.exit(f"liqui: {error}")
    except OSError as error:
        sys.exit(f"liqui: setting up failed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
