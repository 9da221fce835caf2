# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy in front of one service on loopback, which lies, stalls and breaks as it is told.

    proxy = FaultProxy("http://127.0.0.1:9292")
    fault = proxy.fault("flip", method="GET", path="/file$", times=1, at=1000)
    ... a client of proxy.url ...
    fault.used, proxy.count("GET", "/file$"), proxy.log

The first fault that matches method and path, has let `after` matching requests pass and was used less
than `times` times (None: for ever) is applied; other requests pass as they are. Bodies are relayed
whole, except by slow_request, which hands on what it gets at once.
"""
import gzip
import http.client
import os
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Tuple

LOGIN_PAGE = b"<!DOCTYPE html><html><body><form action=/login>Please sign in</form></body></html>\n"
PIECE = 65536


class Request(NamedTuple):
    method: str
    path: str
    headers: List[Tuple[str, str]]

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass
class Reply:
    """An answer and how it is sent."""
    status: int
    headers: List[Tuple[str, str]]
    body: bytes
    declared: Optional[int] = None  # Content-Length, when it is not the size of the body
    framing: str = "length"         # or "chunked", or "close": no length at all
    sent: Optional[int] = None      # bytes of the body before the connection is closed
    reset: bool = False             # ends with a reset instead of a close
    stall: Tuple[int, float] = (0, 0)  # after so many bytes, for so many seconds
    rate: int = 0                   # bytes a second; 0: as they come
    chunk_end: bytes = b"0\r\n\r\n"
    junk: bytes = b""               # raw bytes after the body
    keeps_alive: bool = True


@dataclass
class Fault:
    name: str
    method: str
    path: str
    after: int
    times: Optional[int]
    options: Dict[str, object]
    seen: int = 0
    used: int = 0

    def option(self, name: str, default):
        return self.options.get(name, default)

    def takes(self, request: Request) -> bool:
        if not re.fullmatch(self.method, request.method) or not re.search(self.path, request.path):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.used >= self.times):
            return False
        self.used += 1
        return True


class Line(NamedTuple):
    """One request in the log."""
    time: float
    method: str
    path: str
    fault: Optional[str]
    status: Optional[int]  # what the service said; None when it was not asked
    range: str
    token: str


def position(reply: Reply, fault: Fault) -> int:
    """Where in the body: `at`, counted from its end when negative; by default its middle."""
    at = fault.option("at", len(reply.body) // 2)
    return max(0, at + len(reply.body)) if at < 0 else min(at, len(reply.body))


# --- faults that change the service's answer ---

def short_length(reply: Reply, fault: Fault) -> None:
    """The end is missing, and Content-Length agrees."""
    reply.body = reply.body[:max(0, len(reply.body) - fault.option("cut", 1))]


def long_length(reply: Reply, fault: Fault) -> None:
    reply.declared, reply.keeps_alive = len(reply.body) + fault.option("add", 1), False


def no_length(reply: Reply, _fault: Fault) -> None:
    """Ends by closing, complete."""
    reply.framing, reply.keeps_alive = "close", False


def no_length_cut(reply: Reply, fault: Fault) -> None:
    """Ends by closing, too early: no client can see that from the answer itself."""
    reply.body = reply.body[:position(reply, fault)]
    reply.framing, reply.keeps_alive = "close", False


def drop(reply: Reply, fault: Fault) -> None:
    reply.declared, reply.sent = len(reply.body), position(reply, fault)


def reset(reply: Reply, fault: Fault) -> None:
    drop(reply, fault)
    reply.reset = True


def stall(reply: Reply, fault: Fault) -> None:
    reply.stall = (position(reply, fault), fault.option("seconds", 30))


def stall_and_drop(reply: Reply, fault: Fault) -> None:
    stall(reply, fault)
    drop(reply, fault)
    reply.sent = reply.stall[0] + 1  # a byte more, so that the stall comes before the end


def slow(reply: Reply, fault: Fault) -> None:
    reply.rate = fault.option("rate", PIECE)


def chunked(reply: Reply, _fault: Fault) -> None:
    reply.framing = "chunked"


def chunked_cut(reply: Reply, _fault: Fault) -> None:
    reply.framing, reply.sent = "chunked", len(reply.body) // 2


def chunked_bad(reply: Reply, _fault: Fault) -> None:
    reply.framing, reply.chunk_end, reply.keeps_alive = "chunked", b"zz\r\n", False


def flip(reply: Reply, fault: Fault) -> None:
    at = position(reply, fault)
    if reply.body:
        reply.body = reply.body[:at] + bytes([reply.body[at] ^ 1]) + reply.body[at + 1:]


def append(reply: Reply, fault: Fault) -> None:
    reply.body += b"Z" * fault.option("count", 1)


def zeros(reply: Reply, fault: Fault) -> None:
    at = position(reply, fault)
    end = min(at + 4096, len(reply.body))
    reply.body = reply.body[:at] + bytes(end - at) + reply.body[end:]


def other_body(reply: Reply, fault: Fault) -> None:
    """Another body under the right answer's headers."""
    reply.body = fault.option("body", LOGIN_PAGE)


def two_lengths(reply: Reply, _fault: Fault) -> None:
    reply.headers.append(("Content-Length", str(len(reply.body) + 5)))


def gzipped(reply: Reply, _fault: Fault) -> None:
    """Nobody had asked for it."""
    reply.body = gzip.compress(reply.body)
    reply.headers.append(("Content-Encoding", "gzip"))


def wrong_range(reply: Reply, _fault: Fault) -> None:
    """Other bytes than Content-Range says."""
    if reply.status == 206:
        reply.body = reply.body[1:] + reply.body[:1]


def wrong_content_range(reply: Reply, _fault: Fault) -> None:
    """Content-Range starts elsewhere than was asked for."""
    reply.headers = [(key, re.sub(r"bytes (\d+)", lambda match: f"bytes {int(match[1]) - 1}", value)
                      if key.lower() == "content-range" else value) for key, value in reply.headers]


def next_answer_too_early(reply: Reply, _fault: Fault) -> None:
    """Half a body, and behind it what looks like another answer."""
    reply.declared, reply.sent = len(reply.body), len(reply.body) // 2
    reply.junk = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nnext!"


def lost_then_500(reply: Reply, _fault: Fault) -> None:
    """The service did it, and the client hears of an error."""
    reply.status, reply.headers, reply.body = 500, [], b""


def header(reply: Reply, fault: Fault) -> None:
    """Another value of one header; without a value it is removed."""
    name, value = fault.options["header"], fault.option("value", None)
    reply.headers = [(key, old) for key, old in reply.headers if key.lower() != name.lower()]
    if value is not None:
        reply.headers.append((name, value))


ANSWER_FAULTS = {function.__name__: function for function in (
    short_length, long_length, no_length, no_length_cut, drop, reset, stall, stall_and_drop, slow, chunked,
    chunked_cut, chunked_bad, flip, append, zeros, other_body, two_lengths, gzipped, wrong_range, wrong_content_range,
    next_answer_too_early, lost_then_500, header)}

# The service is not asked at all.
# status: code, body (a refusal in the service's words when there is none), headers. login_page: 200. redirect: to. hang: seconds. header_bomb: bytes
OWN_ANSWERS = ("status", "login_page", "redirect", "hang", "empty", "reset_at_once", "garbage", "header_bomb")

# drop_request: at. slow_request: rate. truncate_request: cut
# lost_response: the service did it, and the client sees the connection break. twice: it got two.
REQUEST_FAULTS = ("drop_request", "slow_request", "truncate_request", "ignore_range", "lost_response",
                  "twice", "delay")

FAULTS = (*ANSWER_FAULTS, *OWN_ANSWERS, *REQUEST_FAULTS)


class FaultProxy:
    def __init__(self, upstream: str, certificate: Optional[Tuple[str, str]] = None):
        """`certificate`: paths of certificate and key, for a proxy that speaks TLS."""
        self.upstream = urllib.parse.urlsplit(upstream)
        self.faults: List[Fault] = []
        self.log: List[Line] = []
        self.lock = threading.Lock()
        self.connections: set = set()
        self.tls = None
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.socket: Optional[socket.socket] = None
        self.port = 0
        self.go_up()

    @property
    def url(self) -> str:
        """Without the path of the service's own URL."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    # --- for tests ---

    def fault(self, name: str, method: str = ".*", path: str = "", after: int = 0,
              times: Optional[int] = 1, **options: object) -> Fault:
        assert name in FAULTS, name
        one = Fault(name, method, path, after, times, options)
        with self.lock:
            self.faults.append(one)
        return one

    def clear(self) -> None:
        """Tells the truth again, and forgets the log."""
        with self.lock:
            self.faults.clear()
            self.log.clear()

    def lines(self, method: str = ".*", path: str = "") -> List[Line]:
        with self.lock:
            return [line for line in self.log
                    if re.fullmatch(method, line.method) and re.search(path, line.path)]

    def count(self, method: str = ".*", path: str = "") -> int:
        return len(self.lines(method, path))

    def go_up(self) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen(128)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.socket,), daemon=True).start()

    def go_down(self) -> None:
        """Connections break, and new ones are refused."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # --- connections ---

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(120)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with self.lock:
                self.connections.add(connection)
            with connection.makefile("rb") as stream:
                while self._one(connection, stream):
                    pass
        except (OSError, ValueError, http.client.HTTPException):
            pass
        finally:
            with self.lock:
                self.connections.discard(connection)
            connection.close()

    def _one(self, connection: socket.socket, stream) -> bool:
        """One request; False when the connection is at its end."""
        request = read_head(stream)
        if request is None:
            return False
        with self.lock:
            fault = next((fault for fault in self.faults if fault.takes(request)),
                         Fault("", "", "", 0, None, {}))
        if fault.name in OWN_ANSWERS:
            return self._answer_myself(connection, stream, request, fault)
        if request.header("expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if fault.name == "drop_request":
            read_body(stream, request, fault.option("at", 0))
            self._note(request, fault, None)
            return hang_up(connection)
        if fault.name == "slow_request":
            reply = self._relay_slowly(stream, request, fault.option("rate", PIECE))
        else:
            reply = self._relay(request, read_body(stream, request), fault)
        self._note(request, fault, reply.status)
        if fault.name == "lost_response":
            return hang_up(connection)
        if fault.name in ANSWER_FAULTS:
            ANSWER_FAULTS[fault.name](reply, fault)
        return send(connection, reply)

    def _note(self, request: Request, fault: Fault, status: Optional[int]) -> None:
        line = Line(time.monotonic(), request.method, request.path, fault.name or None, status,
                    request.header("range"), request.header("x-auth-token"))
        with self.lock:
            self.log.append(line)

    def _answer_myself(self, connection: socket.socket, stream, request: Request, fault: Fault) -> bool:
        self._note(request, fault, None)
        if fault.name == "hang":
            time.sleep(fault.option("seconds", 60))
            return False
        if fault.name == "reset_at_once":
            return hang_up(connection)
        if fault.name == "empty":
            return False
        if fault.name == "garbage":
            connection.sendall(b"\x00\xff\x13\x37 this is not HTTP\r\n\r\n" * 20)
            return False
        if fault.name == "header_bomb":
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for _ in range(fault.option("bytes", 2 << 20) // 1000):
                connection.sendall(b"X-Bomb: " + b"b" * 990 + b"\r\n")
            return False
        # An upload that is refused is not read: like a service, close afterwards.
        reads = not request.header("expect")
        if reads:
            read_body(stream, request)
        if fault.name == "redirect":
            reply = Reply(fault.option("code", 302), [("Location", fault.option("to", request.path))], b"")
        elif fault.name == "login_page":
            reply = Reply(200, [("Content-Type", "text/html")], LOGIN_PAGE)
        else:
            reply = Reply(fault.option("code", 503), list(fault.option("headers", {}).items()),
                          fault.option("body", own_words(fault.option("code", 503))))
        reply.keeps_alive = reads
        return send(connection, reply)

    # --- the service ---

    def _open(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=60)

    def _send_head(self, service: http.client.HTTPConnection, request: Request, length: str) -> None:
        own = {"host", "connection", "transfer-encoding", "content-length", "expect"}
        service.putrequest(request.method, request.path, skip_accept_encoding=True)
        for key, value in request.headers:
            if key.lower() not in own:
                service.putheader(key, value)
        if length:
            service.putheader("Content-Length", length)
        service.endheaders()

    def _relay(self, request: Request, body: bytes, fault: Fault) -> Reply:
        if fault.name == "delay":
            time.sleep(fault.option("seconds", 5))
        if fault.name == "ignore_range":
            request = request._replace(headers=[(key, value) for key, value in request.headers
                                                if key.lower() != "range"])
        if fault.name == "truncate_request":
            body = body[:max(0, len(body) - fault.option("cut", 1))]
        has_body = body or request.method in ("PUT", "POST", "PATCH")
        for _ in range(2 if fault.name == "twice" else 1):
            service = self._open()
            try:
                self._send_head(service, request, str(len(body)) if has_body else "")
                service.send(body)
                reply = receive(service)
            except (OSError, http.client.HTTPException):
                reply = bad_gateway()
            finally:
                service.close()
        return reply

    def _relay_slowly(self, stream, request: Request, rate: int) -> Reply:
        service = self._open()
        try:
            self._send_head(service, request, request.header("content-length"))
            left = int(request.header("content-length"))
            while left > 0:
                piece = stream.read(min(left, max(1, rate // 10)))
                if not piece:
                    return bad_gateway()
                service.send(piece)
                left -= len(piece)
                time.sleep(len(piece) / rate)
            return receive(service)
        except (OSError, http.client.HTTPException):
            return bad_gateway()
        finally:
            service.close()


# --- HTTP, as much as is needed ---

def read_head(stream) -> Optional[Request]:
    words = stream.readline(PIECE).decode("latin1").split()
    if len(words) != 3:
        return None
    headers = []
    while True:
        line = stream.readline(PIECE)
        if line in (b"\r\n", b"\n", b""):
            return Request(words[0], words[1], headers)
        key, _, value = line.decode("latin1").partition(":")
        headers.append((key.strip(), value.strip()))


def read_body(stream, request: Request, limit: Optional[int] = None) -> bytes:
    length = int(request.header("content-length") or 0)
    if "chunked" not in request.header("transfer-encoding"):
        return stream.read(length if limit is None else min(length, limit))
    body = b""
    while limit is None or len(body) < limit:
        size = int(stream.readline(100).split(b";")[0], 16)
        body += stream.read(size)
        stream.readline(10)
        if size == 0:
            break
    return body


def receive(service: http.client.HTTPConnection) -> Reply:
    answer = service.getresponse()
    body = answer.read()
    framing = {"connection", "transfer-encoding", "content-length", "keep-alive"}
    return Reply(answer.status, [(key, value) for key, value in answer.getheaders()
                                 if key.lower() not in framing], body)


def own_words(code: int) -> bytes:
    """A refusal as an OpenStack service signs it; other answers have no body."""
    return b'{"code": %d, "title": "", "description": ""}' % code if code >= 400 else b""


def bad_gateway() -> Reply:
    return Reply(502, [], b"", keeps_alive=False)


def hang_up(connection: socket.socket) -> bool:
    """A reset, now: the stream of the connection would keep its descriptor open."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())
    return False


def send(connection: socket.socket, reply: Reply) -> bool:
    """Sends it; False when the connection has to be closed."""
    has_body = reply.status not in (204, 304)
    headers = list(reply.headers)
    if reply.framing == "chunked":
        headers.append(("Transfer-Encoding", "chunked"))
    elif reply.framing == "length" and has_body:
        headers.append(("Content-Length", str(len(reply.body) if reply.declared is None
                                              else reply.declared)))
    keeps_alive = reply.keeps_alive and reply.sent is None
    if not keeps_alive:
        headers.append(("Connection", "close"))
    head = f"HTTP/1.1 {reply.status} {http.client.responses.get(reply.status, '-')}\r\n"
    head += "".join(f"{key}: {value}\r\n" for key, value in headers) + "\r\n"
    connection.sendall(head.encode("latin1"))
    if has_body:
        send_body(connection, reply)
    connection.sendall(reply.junk)
    if reply.reset:
        time.sleep(0.2)  # what was sent should arrive before the reset
        return hang_up(connection)
    return keeps_alive


def send_body(connection: socket.socket, reply: Reply) -> None:
    body = reply.body if reply.sent is None else reply.body[:reply.sent]
    step = max(1, reply.rate // 20) if reply.rate else PIECE
    at, (stall_at, stall_seconds) = 0, reply.stall
    while at < len(body):
        if stall_seconds and at >= stall_at:
            time.sleep(stall_seconds)
            stall_seconds = 0
        end = min(at + step, len(body), stall_at if stall_seconds else len(body))
        piece = body[at:end]
        if reply.framing == "chunked":
            piece = b"%x\r\n%s\r\n" % (len(piece), piece)
        connection.sendall(piece)
        if reply.rate:
            time.sleep((end - at) / reply.rate)
        at = end
    if reply.framing == "chunked" and reply.sent is None:
        connection.sendall(reply.chunk_end)
