"""docker/nginx.conf in a real nginx, before real workers, and before an upstream that tells what it was asked."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests import live
from tests.backend import server_only
from tests.live import server_environment, wait_until
from tools.programs import WebServer, rest_command, sockets_command
from tools.servers import PrivateNginx, free_port

pytestmark = server_only("nginx does not know which database is behind its workers")

SOCKET_PATHS = ("/ws/liquidations", "/api/v1/ws/BTCUSDT", "/api/v1/cache/ws")
STREAM = "/api/liquidation-orders/stream"
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def get(nginx: PrivateNginx, path: str, **headers: str) -> httpx.Response:
    return ask(nginx, "GET", path, headers=headers)


def ask(nginx: PrivateNginx, method: str, path: str, **options: Any) -> httpx.Response:
    return httpx.request(method, f"http://{nginx.listen}{path}", timeout=30, verify=False, **options)


class Upstream(BaseHTTPRequestHandler):
    """Answers every request with what it has heard, in two halves; the second one waits for ``may_end``."""

    protocol_version = "HTTP/1.1"
    may_end = threading.Event()
    heard: list[str] = []

    def do_GET(self) -> None:
        self.heard.append(self.path)
        body = json.dumps({"path": self.path, "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:10])
        self.may_end.wait(30)
        self.wfile.write(body[10:])

    def do_POST(self) -> None:
        """Goes away without an answer."""
        self.heard.append(self.path)
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Nothing: pytest shows what goes wrong."""


@pytest.fixture
def echo() -> Iterator[PrivateNginx]:
    """nginx before an `Upstream` for both kinds of request."""
    PrivateNginx.install()
    Upstream.may_end.set()
    Upstream.heard.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        with PrivateNginx(address, address) as nginx:
            yield nginx
        server.shutdown()


@pytest.fixture(scope="module")
def nginx(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateNginx]:
    """nginx before a real WSGI worker and a real ASGI worker."""
    PrivateNginx.install()
    with ExitStack() as stack:
        addresses = []
        for name, command in (("rest", rest_command(1)), ("sockets", sockets_command(1))):
            environment = server_environment(tmp_path_factory.mktemp(name)) | {
                "DATABASE_URL": live.tests_database_url()
            }
            addresses.append(stack.enter_context(WebServer(name, command, environment)).address)
        yield stack.enter_context(PrivateNginx(*addresses))


def answered_by(nginx: PrivateNginx, uri: str) -> str:
    """The upstream that the access log names for the request."""
    wait_until(lambda: uri in nginx.log_path.read_text(), 10, f"{uri} is in the access log")
    lines = [line for line in nginx.log_path.read_text().splitlines() if line.startswith("{") and uri in line]
    return json.loads(lines[-1])["upstream"]


def test_nginx_finds_no_fault_in_the_configuration(echo: PrivateNginx) -> None:
    files = ("-p", str(echo.folder), "-c", str(echo.configuration), "-g", f"pid {echo.folder / 'test.pid'};")
    done = subprocess.run([echo.program(), "-t", "-q", "-e", "stderr", *files], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", ["/api/symbols", "/health", "/wsx", "/api/v1/wsx", "/openapi.json"])
def test_rest_is_answered_by_the_wsgi_workers(transactional_db: None, nginx: PrivateNginx, path: str) -> None:
    answer = get(nginx, f"{path}?n=rest")
    assert answer.status_code in (200, 404)
    assert answer.headers["Content-Type"].startswith("application/")
    assert answered_by(nginx, f"{path}?n=rest") == nginx.rest


@pytest.mark.parametrize("path", SOCKET_PATHS)
def test_websockets_reach_the_asgi_workers_which_accept_them(nginx: PrivateNginx, path: str) -> None:
    # Of the two kinds of worker only this one sees a WebSocket in it: the other one would answer 404 as to any path.
    assert get(nginx, f"{path}?n=socket", **HANDSHAKE).status_code == 101
    assert answered_by(nginx, f'"uri":"{path}"') == nginx.sockets
    assert get(nginx, path).status_code == 404


def test_the_workers_hear_who_asks_for_what(echo: PrivateNginx) -> None:
    sent = {"Host": "liqui.example:8443", "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    heard = get(echo, "/api/symbols?a=%41&b=1+2", **sent, **{"X-Request-ID": "from-the-client"}).json()
    assert heard["path"] == "/api/symbols?a=%41&b=1+2"
    headers = heard["headers"]
    assert headers["Host"] == headers["X-Forwarded-Host"] == "liqui.example:8443"
    assert headers["X-Forwarded-For"] == "203.0.113.7, 127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["X-Request-ID"] == "from-the-client"
    assert "Upgrade" not in headers
    plain = get(echo, "/").json()["headers"]
    assert plain["X-Forwarded-Proto"] == "http"
    assert len(plain["X-Request-ID"]) == 32


@pytest.mark.parametrize("path", SOCKET_PATHS)
def test_a_handshake_keeps_its_upgrade_headers(echo: PrivateNginx, path: str) -> None:
    headers = get(echo, path, **HANDSHAKE).json()["headers"]
    assert (headers["Upgrade"], headers["Connection"]) == ("websocket", "upgrade")
    assert headers["Sec-WebSocket-Key"] == HANDSHAKE["Sec-WebSocket-Key"]


def test_a_change_to_another_protocol_is_not_passed_on(echo: PrivateNginx) -> None:
    headers = get(echo, "/ws/x", **{"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"}).json()["headers"]
    assert "Upgrade" not in headers


def test_a_stream_reaches_the_client_as_it_is_made(echo: PrivateNginx) -> None:
    Upstream.may_end.clear()
    with httpx.stream("GET", f"http://{echo.listen}{STREAM}", timeout=20, verify=False) as answer:
        chunks = answer.iter_raw()
        assert next(chunks)
        Upstream.may_end.set()
        assert b"".join(chunks).endswith(b"}")


def test_what_the_workers_compress_stays_as_it_is(nginx: PrivateNginx) -> None:
    packed = get(nginx, "/openapi.json", **{"Accept-Encoding": "gzip"})
    plain = get(nginx, "/openapi.json", **{"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 2
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"


def test_the_request_id_comes_back(nginx: PrivateNginx) -> None:
    assert get(nginx, "/openapi.json", **{"X-Request-ID": "mine-42"}).headers["X-Request-ID"] == "mine-42"
    assert get(nginx, "/openapi.json").headers["X-Request-ID"]


def test_without_workers_a_json_error_comes_at_once() -> None:
    PrivateNginx.install()
    nobody = f"127.0.0.1:{free_port()}"
    with PrivateNginx(nobody, nobody) as nginx:
        began = time.monotonic()
        answers = [get(nginx, path) for path in ("/api/symbols", STREAM, "/ws/x")]
        assert [answer.status_code for answer in answers] == [502, 502, 502]
        assert [answer.json() for answer in answers] == [{"detail": "Service unavailable"}] * 3
        assert answers[0].headers["Content-Type"] == "application/json"
        assert answers[0].headers["X-Request-ID"]
        assert get(nginx, "/api/v1/symbols").json() == {"detail": "Service unavailable", "status_code": 502}
        assert get(nginx, "/api/v1/cache/x").json() == {"detail": "Service unavailable"}
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("path", ["/api/v1/ws/test", "/ws/x"])
def test_the_key_of_a_socket_is_in_no_log_even_when_nobody_is_there_to_take_it(path: str) -> None:
    PrivateNginx.install()
    nobody = f"127.0.0.1:{free_port()}"
    with PrivateNginx(nobody, nobody) as nginx:
        assert get(nginx, f"{path}?x=1&token=secret", **HANDSHAKE).status_code == 502
        assert answered_by(nginx, f'"uri":"{path}"') == nobody
        assert "secret" not in nginx.log_path.read_text()


def test_what_may_not_be_done_twice_is_asked_once(echo: PrivateNginx) -> None:
    assert ask(echo, "POST", "/api/cache/clear").status_code == 502
    assert Upstream.heard == ["/api/cache/clear"]


def test_large_bodies_are_refused_in_json(echo: PrivateNginx) -> None:
    answer = ask(echo, "POST", "/api/cache/clear", content=b"x" * 100_000)
    assert (answer.status_code, answer.json()) == (413, {"detail": "Payload Too Large"})
    assert Upstream.heard == []
