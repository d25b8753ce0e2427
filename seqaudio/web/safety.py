"""Who may ask: requests under names of this server alone, from its own page; and the headers of every answer.

A page of another site that a user visits could otherwise use a server on the user's machine: by a name that it lets
lead there (DNS rebinding; `Host` tells), or by sending to it directly (`Origin` tells).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-store",
}
READING = ("GET", "HEAD")
POLICY_VIOLATION = 1008  # of WebSockets


def is_loopback(host: str) -> bool:
    """Whether an address or name is that of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class OwnPage:
    """Passes on what comes under a name of this server, and from its own page or no page; refuses the rest with 403.

    Args:
        app: the application behind.
        host: the address at which the server listens. Loopback: under names of loopback alone. Others: under any
            address in digits, which no other site can let lead here, under the machine's name, and under `names`.
        names: further names.
    """

    def __init__(self, app: ASGIApp, host: str, names: Sequence[str] = ()) -> None:
        self.app = app
        self.loopback_only = is_loopback(host)
        own = () if self.loopback_only else (socket.gethostname(), host)
        self.names = {name.casefold() for name in (*names, *own)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if wrong := self.fault(scope):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": wrong})
                return
            await JSONResponse({"error": wrong}, 403, HEADERS)(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, answer)

    def fault(self, scope: Scope) -> str:
        """Why a request is refused, for the client; empty for one that is passed on."""
        headers = Headers(scope=scope)
        given = headers.getlist("host")
        if len(given) != 1 or not self.knows(given[0]):
            return "the request came under a name that is not this server's; open the address that it has printed"
        origin = headers.get("origin")
        reads = scope["type"] == "http" and scope["method"] in READING
        if origin is not None and not reads and origin.casefold().partition("://")[2] != given[0].casefold():
            return "the request came from the page of another site"
        return ""

    def knows(self, host: str) -> bool:
        """Whether the header `Host`, a name or an address and maybe a port, names this server."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").casefold()
        except ValueError:
            return False
        if is_loopback(name) or name in self.names:
            return True
        if self.loopback_only:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
