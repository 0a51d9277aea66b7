"""What refusals of Azure mean beside Run Command's own: a missing right, a lock, unreadable boot diagnostics. Pure.

The texts are Azure's, from documents and issues; nobody guarantees them. What is not recognised stays as Azure said it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from azext_vmagent.facts.run_command_obstacles import LOCKED, NO_RIGHT

# codes of the cause catalogue
DIAGNOSTICS_OFF, STORAGE_UNREADABLE = "P12", "P13"

_LOCKS = ("scopelocked", "requestdisallowedbypolicy")
_RIGHTS = ("authorizationfailed", "linkedauthorizationfailed")

#: azure-cli#29374 (off); azure-docs#78452, azure-docs#95883, azserialconsole#48 (firewall); azure-cli#26050 (HNS);
#: azure-docs#55506 (kind of account); the last two are storage's own error codes
_DIAGNOSTICS = (
    (DIAGNOSTICS_OFF, r"boot ?diagnostics (?:is|are) not enabled|enable boot ?diagnostics"),
    (STORAGE_UNREADABLE, r"boot diagnostics? storage|storage account firewall|hierarchical namespace"),
    (
        STORAGE_UNREADABLE,
        r"StorageAccountTypeNotSupported|Microsoft\.Storage/storageAccounts/\S{1,90} .{0,40}not found",
    ),
    (STORAGE_UNREADABLE, r"StorageAccount\w{0,20}NotFound|KeyBasedAuthenticationNotPermitted|AuthorizationFailure\b"),
)
_PATTERNS = tuple((code, re.compile(pattern, re.IGNORECASE)) for code, pattern in _DIAGNOSTICS)


#: a caller who has a right, and lacks another one on what the change leads to, is told both: the second is missing
_MISSING = (
    re.compile(r"does not have permission to perform action(?:\(s\))? '([^']{1,300})'"),
    re.compile(r"perform action '([^']{1,300})'"),
)
_LOCKED_SCOPES = re.compile(r"scope\(s\) are locked: ((?:'[^']{1,500}'[, ]{0,2}){1,8})")
_POLICIES = re.compile(r'"policy(?:Assignment|Definition)":\{"name":"([^"]{1,200})"')


@dataclass(frozen=True)
class AzureSaid:
    """Azure's own words about a change that it did not make, or did not end well.

    ``sent``: it was accepted, or nobody knows whether it was; else nothing was changed.
    """

    code: str = ""
    message: str = ""
    status: int | None = None
    missing_action: str | None = None
    sent: bool = False

    @property
    def locked(self) -> tuple[str, ...]:
        """The locked scopes, or the locks themselves: Azure names the one or the other."""
        found = _LOCKED_SCOPES.search(self.message)
        return tuple(re.findall(r"'([^']+)'", found.group(1))) if found else ()

    @property
    def policies(self) -> tuple[str, ...]:
        """The names of the policies that forbid it: the assignment's and the definition's, each once.

        >>> AzureSaid(message='[{"policyAssignment":{"name":"No VMs","id":"/x"}}]').policies
        ('No VMs',)
        """
        plain = self.message.replace('\\"', '"')
        return tuple(dict.fromkeys(_POLICIES.findall(plain)))


def missing_action(said: str) -> str | None:
    """The right that a refusal names.

    >>> missing_action("has permission to perform action 'a/write' on scope '/x'; however, it does not have permission "
    ...     "to perform action(s) 'b/join/action' on the linked scope(s) '/y'")
    'b/join/action'
    """
    return next((found.group(1) for pattern in _MISSING if (found := pattern.search(said))), None)


def refusal(code: str, missing_action: str | None = None) -> str | None:
    """The cause of a refusal that any call can meet, by ARM's error code.

    >>> refusal("ScopeLocked"), refusal("AuthorizationFailed"), refusal("Conflict")
    ('P15', 'P14', None)
    """
    if missing_action or code.lower() in _RIGHTS:
        return NO_RIGHT
    return LOCKED if code.lower() in _LOCKS else None


def diagnostics_refusal(said: str) -> str | None:
    """The cause that closes boot diagnostics, by Azure's words; None where they are not known.

    >>> diagnostics_refusal('A "Forbidden" response was encountered when accessing this VM\\'s boot diagnostic storage')
    'P13'
    """
    return next((code for code, pattern in _PATTERNS if pattern.search(said)), None)
