"""One address over HTTP, safe from what answers there.

A request has one deadline for all of it, from looking up the name to the last byte: every read waits for what is left
of it and no longer, so a server that drips cannot outlive it. A body is read up to a limit, decompressed no further.
Redirects are not followed. ``close`` cuts the connections in use, so no thread waits for a server that is silent.
"""

import base64
import os
import re
import socket
import ssl
import threading
import time
import urllib.request
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import httpcore
import httpx

from verdicts.base.errors import mistake

if TYPE_CHECKING:
    from collections.abc import Iterable

_PIECE = 16384  # bytes written before the deadline is looked at again
_FAILED = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    OSError,
    UnicodeError,
)


class Reply(NamedTuple):
    """What a server answered. ``body`` is decompressed; ``excess`` says why it was not read to its end, or is empty."""

    status: int
    headers: dict[str, str]
    body: bytes
    excess: str


class Unreachable(Exception):
    """No answer came: refused, broken off, out of time. ``hopeless``: asking again cannot help."""

    hopeless = False


class Endpoint:
    """POSTs JSON to one address. Raises UserError for an address, certificate store or proxy that cannot be used."""

    def __init__(self, url: str, key: str, timeout_s: float, connections: int) -> None:
        address = _address(url)
        self._timeout_s = timeout_s
        self._wire = _Wire()
        self.shown = str(address.copy_with(username=None, password=None, query=None))
        self._target = httpcore.URL(
            scheme=address.raw_scheme, host=address.raw_host, port=address.port, target=address.raw_path
        )
        proxy = _proxy(address)
        self.secrets = [key, address.password, proxy.password if proxy else "", *address.params.values()]
        self._headers = [
            (b"Content-Type", b"application/json"),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
        ]
        if key:
            self._headers.append((b"Authorization", f"Bearer {key}".encode()))
        elif address.username or address.password:
            self._headers.append((b"Authorization", _basic(address.username, address.password)))
        self._pool = httpcore.ConnectionPool(
            ssl_context=_trusted() if address.scheme == "https" else None,
            proxy=_core_proxy(proxy) if proxy else None,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5.0,
            network_backend=self._wire,
        )

    def post(self, content: bytes, limit: int) -> Reply:
        """Send one request and read at most ``limit`` bytes of the answer. Raises Unreachable."""
        self._wire.begin(self._timeout_s)
        waits = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        try:
            with self._pool.stream(
                "POST", self._target, headers=self._headers, content=content, extensions={"timeout": waits}
            ) as response:
                headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                raw, ended = _read(response.iter_stream(), limit)
        except _FAILED as error:
            raise _unreachable(error) from None
        body, excess = _decoded(raw, headers.get("content-encoding", "identity").strip().lower(), limit)
        return Reply(response.status, headers, body, excess if ended else f"longer than {limit} bytes")

    def cut(self) -> None:
        """End the requests under way: their threads get Unreachable at once."""
        self._wire.cut()

    def close(self) -> None:
        """Close all connections; no request may be under way."""
        self._pool.close()


def _address(text: str) -> httpx.URL:
    """The chat endpoint under a base URL, which may carry a query; raises UserError where it is no address."""
    base, mark, query = text.strip().partition("?")
    try:
        address = httpx.URL(base.rstrip("/") + "/chat/completions" + mark + query)
        usable = (
            address.scheme in ("http", "https")
            and re.fullmatch(rb"[\w.:-]+", address.raw_host)
            and (address.port is None or 0 < address.port < 65536)
        )
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise mistake(
            "not an address",
            "write it like http://127.0.0.1:8000/v1 (an IPv6 address in brackets)",
            field="engine.base_url",
        )
    return address


def _proxy(address: httpx.URL) -> httpx.URL | None:
    """The proxy that the environment names for this address, or None."""
    named = urllib.request.getproxies_environment()
    text = named.get(address.scheme) or named.get("all")
    bypassed = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]  # public, missing in typeshed
    if not text or bypassed(address.host, named):
        return None
    try:
        proxy = httpx.URL(text if "://" in text else f"http://{text}")
        usable = proxy.scheme in ("http", "https") and proxy.host
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        what = f"the environment names a proxy for {address.scheme} that cannot be used (only http:// and https:// can)"
        raise mistake(
            what,
            f"correct {address.scheme.upper()}_PROXY or ALL_PROXY, or add {address.host} to NO_PROXY",
            field="engine.base_url",
        )
    return proxy


def _core_proxy(proxy: httpx.URL) -> httpcore.Proxy:
    auth = (proxy.username, proxy.password) if proxy.username or proxy.password else None
    url = httpcore.URL(scheme=proxy.raw_scheme, host=proxy.raw_host, port=proxy.port, target=b"/")
    return httpcore.Proxy(url, auth=auth, ssl_context=_trusted() if proxy.scheme == "https" else None)


def _basic(user: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def _trusted() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        named = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "SSL_CERT_FILE")
        raise mistake(
            f"the certificates to trust cannot be read ({error})", f"correct or unset {named}", field="engine.base_url"
        ) from None


def _unreachable(error: Exception) -> Unreachable:
    words = Unreachable(f"{type(error).__name__} {error}".strip())
    words.hopeless = any(sign in str(error) for sign in ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER"))
    return words


def _read(pieces: "Iterable[bytes]", limit: int) -> tuple[bytes, bool]:
    """Bytes up to a limit, and whether that was all."""
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limit:
            return bytes(body[:limit]), False
    return bytes(body), True


def _decoded(raw: bytes, coding: str, limit: int) -> tuple[bytes, str]:
    """A body unpacked, though none was asked for packed, and why it is not whole. At most ``limit`` bytes are made."""
    if coding in ("", "identity"):
        return raw, ""
    if coding not in ("gzip", "x-gzip", "deflate"):
        return b"", f"packed as {coding}, which was not asked for"
    unpack = zlib.decompressobj(47 if coding != "deflate" else 15)
    try:
        body = unpack.decompress(raw, limit)
    except zlib.error as error:
        return b"", f"not {coding} as its header says ({error})"
    return body, f"longer than {limit} bytes" if unpack.unconsumed_tail else ""


class _Wire(httpcore.NetworkBackend):
    """Connections whose every wait is cut to what is left of the thread's deadline."""

    def __init__(self) -> None:
        self._plain = httpcore.SyncBackend()
        self._thread = threading.local()
        self._open: set[_Stream] = set()
        self._lock = threading.Lock()
        self._is_cut = False

    def begin(self, seconds: float) -> None:
        """Set this thread's deadline."""
        self._thread.until = time.monotonic() + seconds

    def left(self, late: type[Exception]) -> float:
        """Seconds that are left; raises ``late`` where none are."""
        until: float = self._thread.until
        seconds = until - time.monotonic()
        if seconds <= 0 or self._is_cut:
            raise late("the deadline of the request (engine.timeout_s) has passed")
        return seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        return self.keep(
            self._plain.connect_tcp(host, port, self.left(httpcore.ConnectTimeout), local_address, socket_options)
        )

    def keep(self, inner: httpcore.NetworkStream) -> "_Stream":
        stream = _Stream(inner, self)
        with self._lock:
            self._open.add(stream)
        return stream

    def forget(self, stream: "_Stream") -> None:
        with self._lock:
            self._open.discard(stream)

    def cut(self) -> None:
        self._is_cut = True
        with self._lock:
            for stream in self._open:
                try:
                    stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
                except OSError:  # the other side has gone already
                    continue


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, wire: _Wire) -> None:
        self._inner, self._wire = inner, wire

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._wire.left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], self._wire.left(httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._wire.forget(self)
        return self._wire.keep(
            self._inner.start_tls(ssl_context, server_hostname, self._wire.left(httpcore.ConnectTimeout))
        )

    def close(self) -> None:
        self._wire.forget(self)
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
