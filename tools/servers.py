"""Private MariaDB/MySQL and Redis servers for tests and benchmarks: own folder, own loopback port, gone at the end.

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
from collections.abc import Sequence
from pathlib import Path
from typing import Self

START_SECONDS = 60
STOP_SECONDS = 30
# Debian's ordinary users have no sbin on their PATH.
SEARCH_PATH = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/bin", "/usr/bin", "/usr/local/mysql/bin")
# Ends with its standard input, that is, with us, however we die; then the server must not outlive us.
GUARD = 'read -r _; kill -KILL "$1" 2>/dev/null; sleep 0.2; rm -rf "$2"'


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
    """A server process with a temporary folder and a port of its own, which it keeps from one start to the next."""

    name = ""
    programs: tuple[str, ...] = ()
    host = "127.0.0.1"

    def __init__(self, options: Sequence[str] = ()) -> None:
        """``options`` are further command-line options of the server; they win over ours."""
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix=f"liqui-{self.name}-"))
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
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start, or start again with the same data and port; returns when the server answers. Twice is harmless."""
        if self.alive:
            self.resume()
            return
        self.release()
        self.prepare()
        with open(self.folder / "log", "ab") as log:
            # A session of its own: Ctrl-C at the terminal goes to whoever owns the server, who then stops it.
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.guard = subprocess.Popen(
            ["sh", "-c", GUARD, "sh", str(self.pid), str(self.folder)], stdin=subprocess.PIPE, start_new_session=True
        )
        self.wait_ready()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if not self.alive or time.monotonic() > deadline:
                self.kill()
                log = (self.folder / "log").read_text(errors="replace")
                raise ServerFailed(f"{self.name} did not start:\n{log[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop in good order; data and port are kept for the next start."""
        if self.process is not None and self.alive:
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self.release()

    def kill(self) -> None:
        """End at once, as in a crash (SIGKILL)."""
        if self.process is not None and self.alive:
            self.process.kill()
            self.process.wait()
        self.release()

    def pause(self) -> None:
        """Freeze (SIGSTOP): connections stay open and nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        if self.paused and self.process is not None:
            self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def close(self) -> None:
        """End for good and remove the folder."""
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


def as_this_user() -> list[str]:
    """The server runs as root only when told to."""
    return ["--user=root"] if os.geteuid() == 0 else []
