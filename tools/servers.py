"""Private MariaDB/MySQL, Redis and nginx servers: own folder, own loopback port, gone at the end unless kept.

with PrivateMariaDB() as server:
    server.url("liqui")  # mysql://root@127.0.0.1:40123/liqui
    server.kill()        # as a crash would
    server.start()       # the same data on the same port
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import Self

from tools import packages

ROOT = Path(__file__).resolve().parents[1]

START_SECONDS = 60
STOP_SECONDS = 30
# Of MariaDB and MySQL, which have them by default: what is committed survives a crash. Without, it forgets a second.
DURABLE = ("--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=1")
ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT
# Debian's ordinary users have no sbin on their PATH.
SEARCH_PATH = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/bin", "/usr/bin", "/usr/local/mysql/bin")
# Ends with its standard input, that is, with us, however we die; then the server must not outlive us.
GUARD = 'read -r _; kill -s KILL -- "-$1" 2>/dev/null; sleep 0.2; rm -rf "$2"'


class ServerMissing(Exception):
    """The server's program is not installed."""


class ServerFailed(Exception):
    """The server did not start; the text ends with its log."""


def find_program(*names: str) -> str | None:
    """The path of the first program found, on the PATH or where servers are installed."""
    for name in names:
        if path := shutil.which(name) or shutil.which(name, path=":".join(SEARCH_PATH)):
            return path
    return None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class PrivateServer:
    """A server process, and its children, with a folder and a port of its own, kept from one start to the next."""

    name = ""
    programs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()  # of Debian, that hold the program
    host = "127.0.0.1"
    environment: Mapping[str, str] | None = None  # None: ours

    def __init__(self, options: Sequence[str] = (), folder: Path | None = None) -> None:
        """``options`` are further command-line options of the server; they win over ours.

        A ``folder`` that is given outlives the server; otherwise it is a temporary one.
        """
        self.options = options
        self.is_kept = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"liqui-{self.name}-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.guard: subprocess.Popen[bytes] | None = None
        self.paused = False

    @classmethod
    def program(cls) -> str:
        """The path of the server's program. Raises `ServerMissing`."""
        if path := find_program(*cls.programs):
            return path
        raise ServerMissing(f"{' or '.join(cls.programs)} is not installed")

    @classmethod
    def install(cls) -> None:
        """Install the program if it is missing. Raises `PackagesMissing`."""
        try:
            cls.program()
        except ServerMissing as error:
            packages.install(cls.packages, str(error))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log_path(self) -> Path:
        return self.folder / "log"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        # Without waiting for it: a dead leader that nobody has waited for keeps its number, and with it its group's.
        return self.process is not None and os.waitid(os.P_PID, self.process.pid, ENDED) is None

    def start(self) -> None:
        """Start, or start again with the same data and port; returns when the server answers. Twice is harmless."""
        if self.alive:
            self.resume()
            return
        self.kill()  # what a leader that died by itself has left behind
        self.prepare()
        with open(self.log_path, "ab") as log:
            # A session of its own: Ctrl-C at the terminal goes to whoever owns the server, who then stops it.
            self.process = subprocess.Popen(
                self.command(),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        removed = "" if self.is_kept else str(self.folder)
        self.guard = subprocess.Popen(
            ["sh", "-c", GUARD, "sh", str(self.pid), removed], stdin=subprocess.PIPE, start_new_session=True
        )
        self.wait_ready()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if not self.alive or time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"{self.name} did not start:\n{self.log_path.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop in good order, if that can be had within ``seconds``; data and port are kept for the next start."""
        if self.process is not None and self.alive:
            self.resume()
            self.process.terminate()
            deadline = time.monotonic() + seconds
            while self.alive and time.monotonic() < deadline:
                time.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """End at once, with all children, as in a crash (SIGKILL)."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
        self.release()

    def pause(self) -> None:
        """Freeze (SIGSTOP): connections stay open and nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        # Its other threads go on for a moment, and would answer; WNOWAIT leaves the news of its end to Popen.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)
        self.paused = True

    def resume(self) -> None:
        if self.paused and self.process is not None:
            self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def close(self) -> None:
        """End for good; a temporary folder is removed, data that are kept are left in good order."""
        if self.is_kept:
            self.stop()
        else:
            self.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        """Dismiss the guard of a server that has ended."""
        self.paused = False
        if self.guard is not None:
            self.guard.kill()
            self.guard.wait()
            assert self.guard.stdin is not None
            self.guard.stdin.close()
            self.guard = None

    def prepare(self) -> None:
        """Make what the first start needs."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def exchange(self, request: bytes) -> bytes:
        """What the server says after ``request``, or nothing if it says nothing within a second."""
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                connection.sendall(request)
                return connection.recv(512)
        except OSError:
            return b""


class PrivateMariaDB(PrivateServer):
    """MariaDB, or MySQL 8 where only that is installed; root without a password, fast rather than durable."""

    name = "mariadb"
    programs = ("mariadbd", "mysqld")
    packages = ("mariadb-server-core", "mariadb-client-core")

    def url(self, database: str = "liqui") -> str:
        return f"mysql://root@{self.host}:{self.port}/{database}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        if self.data.exists():
            return
        server = self.program()
        if installer := find_program("mariadb-install-db", "mysql_install_db"):
            command = [installer, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
        else:
            command = [server, "--no-defaults", "--initialize-insecure"]
        made = subprocess.run(
            [*command, f"--datadir={self.data}", *as_this_user()],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if made.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise ServerFailed(f"no data folder for {server}:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")
        # root comes for "localhost" only, and a connection over TCP is not always given that name.
        (self.folder / "users.sql").write_text(
            "CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';\nGRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n"
        )

    def command(self) -> list[str]:
        # The character set stays the compiled default, so that whoever forgets to ask for utf8mb4 finds out here.
        return [
            self.program(),
            "--no-defaults",
            *as_this_user(),
            f"--datadir={self.data}",
            f"--init-file={self.folder / 'users.sql'}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--bind-address={self.host}",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--innodb-buffer-pool-size=256M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=0",
            "--performance-schema=OFF",
            *self.options,
        ]

    def answers(self) -> bool:
        # Greets first: a packet with sequence 0 that names protocol 10 (an error would be 255).
        return self.exchange(b"")[3:5] == b"\x00\x0a"


class PrivateRedis(PrivateServer):
    """Redis that keeps nothing on disk."""

    name = "redis"
    programs = ("redis-server", "valkey-server")
    packages = ("redis-server",)

    def url(self, database: int = 0) -> str:
        return f"redis://{self.host}:{self.port}/{database}"

    def command(self) -> list[str]:
        return [
            self.program(),
            *("--bind", self.host, "--port", str(self.port), "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "no", "--daemonize", "no"),
            *self.options,
        ]

    def answers(self) -> bool:
        return self.exchange(b"PING\r\n").startswith(b"+PONG")


class PrivateNginx(PrivateServer):
    """nginx with docker/nginx.conf, from ``listen`` ("127.0.0.1:8000") to the workers at the other two addresses."""

    name = "nginx"
    programs = ("nginx",)
    packages = ("nginx",)

    def __init__(self, rest: str, sockets: str, listen: str = "", folder: Path | None = None) -> None:
        super().__init__(folder=folder)
        self.rest, self.sockets = rest, sockets
        if listen:
            host, _, port = listen.rpartition(":")
            self.host, self.port = host.strip("[]"), int(port)
        self.listen = listen or f"{self.host}:{self.port}"

    @property
    def configuration(self) -> Path:
        return self.folder / "nginx.conf"

    def prepare(self) -> None:
        addresses = {"LIQUI_LISTEN": self.listen, "LIQUI_REST": self.rest, "LIQUI_SOCKETS": self.sockets}
        template = Template((ROOT / "docker" / "nginx.conf").read_text())
        self.configuration.write_text(template.safe_substitute(addresses))

    def command(self) -> list[str]:
        settings = f"daemon off; pid {self.folder / 'pid'};"
        return [self.program(), "-p", str(self.folder), "-c", str(self.configuration), "-e", "stderr", "-g", settings]

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
            return True
        return False


def as_this_user() -> list[str]:
    """The server runs as root only when told to."""
    return ["--user=root"] if os.geteuid() == 0 else []
