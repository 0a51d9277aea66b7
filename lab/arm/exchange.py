"""One request, one response and the route between them, free of sockets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from lab.arm.errors import ArmError

if TYPE_CHECKING:
    from lab.arm.cloud import Cloud

SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = SUBSCRIPTION + "/resourceGroups/{group}"
VMS = "/providers/Microsoft.Compute/virtualMachines"
VM = GROUP + VMS + "/{vm}"


@dataclass(frozen=True)
class Request:
    """What a client sent. ``target`` is the path with its query, as on the wire; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def path(self) -> str:
        """The path alone, decoded, without empty segments (msal sends ``/common//v2.0``)."""
        return re.sub("/{2,}", "/", unquote(urlsplit(self.target).path))

    @cached_property
    def query(self) -> Mapping[str, str]:
        """Query parameters by lower-case name, as ARM compares them."""
        return {name.lower(): value for name, value in parse_qsl(urlsplit(self.target).query, keep_blank_values=True)}

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; none at all is an empty one."""
        try:
            value = json.loads(self.body.decode("utf-8-sig")) if self.body.strip() else {}
        except ValueError as error:
            raise ArmError(
                400,
                "InvalidRequestContent",
                f"The request content was invalid and could not be deserialized: '{error}'.",
            ) from error
        if not isinstance(value, dict):
            raise ArmError(400, "InvalidRequestContent", "The request content was invalid: an object was expected.")
        return value


@dataclass(frozen=True)
class Response:
    """What goes back. ``body`` is JSON-able, or bytes as they are; None is an empty body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"

    def content(self) -> bytes:
        """The body's bytes."""
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Route:
    """Which requests a handler answers. ``open`` ones need neither a bearer token nor an api-version."""

    method: str
    template: str
    handler: Callable[[Cloud, Request], Response]
    open: bool = False

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", self.template)
        texts = [f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts)]
        return re.compile("".join(texts) + "/?", re.IGNORECASE)

    def match(self, path: str) -> dict[str, str] | None:
        """The template's parameters when the path fits, whatever the method."""
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found else None
