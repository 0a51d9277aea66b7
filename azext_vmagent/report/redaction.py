"""Text from guests and platforms made safe to show: no control characters, no secrets, bounded.

Guest output, tags and logs are hostile: escape sequences could rewrite a terminal, a log line could carry a key.
"""

from __future__ import annotations

import re
import unicodedata

LIMIT = 600
_MASK = "***"

_SECRETS = (
    re.compile(r"(?i)([?&](?:sig|skoid|sktid)=)[^&\s\"']+"),
    re.compile(r"(?i)((?:password|passwd|secret|token|accountkey|sharedaccesskey|client_secret)\s*[=:]\s*)[^\s,;\"']+"),
    re.compile(r"(?i)(authorization:\s*(?:bearer|basic)\s+)\S+"),
    re.compile(r"(://[^/\s:@]+:)[^@/\s]+(?=@)"),
)
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")


def safe(text: str) -> str:
    """Printable, secrets masked, at most LIMIT characters.

    >>> safe("a\\x1b[31mred  https://x/y?sv=1&sig=abc%3D&se=2 password=hunter2")
    'a[31mred  https://x/y?sv=1&sig=***&se=2 password=***'
    """
    shown = printable(text[: 4 * LIMIT])
    for pattern in _SECRETS:
        shown = pattern.sub(rf"\g<1>{_MASK}", shown)
    shown = _JWT.sub(_MASK, shown)
    return shown if len(shown) <= LIMIT else shown[: LIMIT - 1] + "…"


def printable(text: str) -> str:
    """Without hidden characters and otherwise whole: a command that is to be copied must not lose a word."""
    return "".join(c if not _hidden(c) else (" " if c in "\t\n\r" else "") for c in text)


def _hidden(character: str) -> bool:
    """Control, format (bidirectional marks among them), surrogate, private and unassigned characters."""
    return unicodedata.category(character)[0] == "C" or unicodedata.category(character) in ("Zl", "Zp")
