"""Scenario 1: the agent works and cannot read what Azure sends it: openssl, certificates, the goal state."""

from __future__ import annotations

from collections.abc import Iterator

from azext_vmagent.causes.agent_signs import complains
from azext_vmagent.causes.catalogue.agent_steps import (
    AGENT,
    APT_AGAIN,
    GUIDE,
    REPORTS_AGAIN,
    RESTART,
    SEE_LOG,
    UPDATE,
    UPDATE_AGENT,
)
from azext_vmagent.causes.known_cause import Kind, KnownCause, Need, Remedy, Scene, Seen, Sign, Where
from azext_vmagent.causes.signs import inside, only_when, said_in_log, wire_logs
from azext_vmagent.facts.reading import AGENT_LOG, Facts
from azext_vmagent.model import Reason, Scenario

_OPENSSL_LINK = "troubleshoot/azure/virtual-machines/linux/linux-troubleshooting-openssl"

NO_OPENSSL = KnownCause(
    code="L21",
    slug="openssl-missing",
    title="The program openssl is missing",
    scenario=Scenario.AGENT_STOPPED,
    means="The agent makes its own certificate, and opens the ones that Azure sends, by calling the program openssl. "
    "Somebody removed its package, or replaced it by another library without the program. Each goal state then fails "
    "and is tried again; with old agents every try leaves a folder in the history.",
    looks_like=(
        "result: [/bin/sh: 1: /usr/bin/openssl: not found]",
        "Failed to create /var/lib/waagent/TransportPrivate.pem and /var/lib/waagent/TransportCert.pem certificates",
        "[Errno 2] No such file or directory: '/usr/bin/openssl'",
    ),
    not_to_confuse=(
        "L22: openssl is there, and its configuration is not.",
        "L23: openssl is there, and its FIPS mode refuses.",
        "«/bin/sh: 1: None: not found»: OS.OpensslPath in /etc/waagent.conf is read with its comment.",
    ),
    signs=(
        inside("agent's program"),
        *complains(
            "openssl: ",
            r"(?P<culprit>/?[\w/.-]{0,60}openssl): (?:command )?not found",
            "the agent finds no openssl",
            on_console=False,
        ),
        *complains(
            "No such file or directory: ",
            r"\[Errno 2\] No such file or directory: '(?P<culprit>[\w/.-]{0,60}openssl)'",
            "the agent finds no openssl",
            on_console=False,
        ),
    ),
    covers=("L05", "L18"),
    remedies=(
        Remedy(
            "install it on Debian, Ubuntu",
            f"{APT_AGAIN} openssl && systemctl restart {{unit}}",
            effect=REPORTS_AGAIN,
        ),
        Remedy(
            "install it on Red Hat Enterprise Linux and its kin, or on SUSE",
            "(dnf install -y openssl || zypper install -y openssl) && systemctl restart {unit}",
            effect=REPORTS_AGAIN,
        ),
    ),
    links=(_OPENSSL_LINK, UPDATE),
    sources=("WALA#2703", "WALA#1674", "WALA common/utils/cryptutil.py"),
)

OPENSSL_CONFIG = KnownCause(
    code="L22",
    slug="openssl-config-missing",
    title="The program openssl looks for its configuration in a place that does not exist",
    scenario=Scenario.AGENT_STOPPED,
    means="Another product put an openssl of its own into the PATH, or sets OPENSSL_CONF, so that openssl reads its "
    "configuration from a path that is not there. Without it the agent cannot make its certificate, and without a "
    "certificate it does not talk to the Wire Server.",
    looks_like=(
        "WARNING: can't open config file: /FIPS/1.0.2l-plus/Linux_x86_64/ssl/openssl.cnf",
        "Unable to load config info from /FIPS/1.0.2l-plus/Linux_x86_64/ssl/openssl.cnf",
        "/var/lib/waagent/TransportCert.pem is missing.",
    ),
    not_to_confuse=("L21: openssl itself is missing.", "L23: FIPS mode; the path is only the name of a product here."),
    signs=(
        *complains(
            "open config file: ",
            r"can't open config file: (?P<culprit>/\S{1,160}\.cn?f)\b",
            on_console=False,
        ),
        *complains(
            "load config info from ",
            r"Unable to load config info from (?P<culprit>/\S{1,160}\.cn?f)\b",
            on_console=False,
        ),
        *complains(
            "open config file, ",
            r"Can't open config file, (?P<culprit>/\S{1,160}\.cn?f)\b",
            on_console=False,
        ),
    ),
    covers=("L05",),
    remedies=(
        Remedy(
            "see which openssl is found, and what names its configuration",
            "command -v openssl; openssl version -d; systemctl show -p Environment {unit}; env | grep -i openssl",
            effect="reads only",
        ),
        Remedy(
            "take OPENSSL_CONF out of the unit's and the system's environment, or the other openssl out of the PATH, "
            "then restart the agent",
            "systemctl restart {unit}",
            effect=REPORTS_AGAIN,
        ),
    ),
    links=(_OPENSSL_LINK, GUIDE),
    sources=("WALA#1402",),
)


def _in_fips_mode(facts: Facts) -> bool:
    """By the kernel's word, in the guest or on its command line at the start of the boot."""
    if facts.guest is not None and facts.guest.fips is not None:
        return facts.guest.fips
    newest = facts.serial.newest if facts.serial is not None else None
    return newest is not None and bool(newest.search("fips=1", r"[Cc]ommand line: .{0,1500}\bfips=1\b"))


def _may_be_fips(facts: Facts) -> bool:
    return facts.guest is None or facts.guest.fips is not False


_REFUSED = complains(
    "unknown cipher", r"EVP_PBE_CipherInit:unknown cipher", "openssl refuses the cipher of Azure's certificates"
)
_UNSUPPORTED = complains(
    "DES-EDE3-CBC", r"unsupported.{0,200}DES-EDE3-CBC", "openssl refuses the cipher of Azure's certificates"
)
_NO_PEM = complains("converting PFX to PEM", r"Error converting PFX to PEM", "the agent cannot open its certificates")
_NO_P7M = complains("Failed to decrypt ", r"Failed to decrypt (?P<culprit>/\S{0,60}Certificates\.p7m)")

FIPS = KnownCause(
    code="L23",
    slug="fips-certificates",
    title="The agent cannot decrypt its certificates in FIPS mode",
    scenario=Scenario.AGENT_DEGRADED,
    means="The guest runs in FIPS mode, in which openssl refuses old ciphers. Azure sends the certificates of "
    "extensions "
    "with such a cipher (triple DES), so that the agent cannot open them. Extensions with protected settings fail; "
    "an "
    "agent that also sets up the VM does not finish.",
    looks_like=(
        "error:060740A0:digital envelope routines:EVP_PBE_CipherInit:unknown cipher",
        "Error converting PFX to PEM [-nomacver: True]: … Algorithm (DES-EDE3-CBC : 65)",
        "Failed to decrypt /var/lib/waagent/Certificates.p7m",
        "/proc/sys/crypto/fips_enabled: 1",
    ),
    not_to_confuse=(
        "«Failed to decrypt …» without FIPS mode: the certificates were empty or made for another key.",
        "W13: an expired certificate on Windows.",
    ),
    signs=(
        inside("system", "agent log"),
        *(only_when(_may_be_fips, sign) for sign in (*_REFUSED, *_UNSUPPORTED)),
        *(only_when(_in_fips_mode, sign) for sign in (*_NO_PEM, *_NO_P7M)),
    ),
    covers=("P10",),
    remedies=(
        Remedy("see whether the mode is on", "cat /proc/sys/crypto/fips_enabled; openssl version", effect="reads only"),
        Remedy(
            "update the agent to 2.14 or later and opt in to ciphers that FIPS 140-3 allows",
            effect="Azure sends the certificates with a cipher that this guest accepts",
            link=AGENT,
        ),
        Remedy(
            "if OS.EnableFIPS=y is set and every openssl command fails, set it back",
            "sed -i 's/^ *OS.EnableFIPS *=.*/OS.EnableFIPS=n/' /etc/waagent.conf && systemctl restart {unit}",
            effect="the agent no longer asks openssl for FIPS libraries that are not installed",
            undo="sed -i 's/^ *OS.EnableFIPS *=.*/OS.EnableFIPS=y/' /etc/waagent.conf && systemctl restart {unit}",
        ),
    ),
    links=(AGENT, UPDATE),
    sources=("WALA#668", "WALA#760", "WALA#2600", "WALA#1788", "WALA#3489", "WALA PR#3324"),
)

_FAILING = (
    r"(?:Error fetching the goal state|[Ff]etching the goal state is still failing)"
    r"(?!.{0,400}(?:IOError|timed out|\[Errno|[Uu]nreachable|[Rr]efused|HTTP Failed))"
    r".{0,200}(?P<culprit>GoalStateInconsistentError|Cannot convert PFX to PEM|without a RoleInstance|Certificate "
    r"\w{8,64})"
)

NOT_REFRESHED = KnownCause(
    code="L33",
    slug="goal-state-not-refreshed",
    title="The agent reaches the Wire Server and cannot refresh its goal state",
    scenario=Scenario.AGENT_STOPPED,
    means="The Wire Server answers, but what it answers does not fit together: the goal state changed while it was "
    "read, "
    "over and over, or it names a certificate that is not in it. Versions 2.2.4x gave up after some tries and stayed "
    "with the old one; what Azure wants since then is never done.",
    looks_like=(
        "Exception retrieving extension handlers: [ProtocolError] Exceeded max retry updating goal state",
        "Goal state is stale, re-fetching",
        "GoalStateInconsistentError: Certificate … needed by … is missing from the goal state",
    ),
    not_to_confuse=(
        "L34: it recovered, as a later line shows.",
        "N02 and its like: the lines say timed out or refused; then the way to the Wire Server is blocked.",
        "L26: a version that loses the stored goal state.",
    ),
    signs=(
        *complains("Exceeded max retry updating goal state"),
        *complains("the goal state", _FAILING, "the goal state that the agent gets does not fit together"),
    ),
    remedies=(
        SEE_LOG,
        RESTART,
        Remedy(
            "if it stays so, let Azure make the VM's goal state anew",
            "az vm reapply {vm}",
            effect="the platform writes the VM's state again; the guest goes on",
            where=Where.AZ,
        ),
        UPDATE_AGENT,
    ),
    links=(UPDATE, GUIDE),
    sources=("WALA#2355", "WALA PR#2562", "WALA PR#3273", "WALA common/protocol/goal_state.py"),
)


def _recovered(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """The newest word on the goal state is that fetching it works again."""
    for channel, log in wire_logs(scene.facts):
        line = log.recovery
        if line is not None and not log.failures and "recovered from previous errors" in line.text:
            yield said_in_log("fetching the goal state works again", channel, line)
    saved = scene.facts.agent_log
    good = saved.goal_state.recovery if saved is not None else None
    if saved is not None and good is not None and saved.goal_state.errors and saved.goal_state.failing is False:
        what = "an error of fetching the goal state was followed by a fetched one"
        yield Seen(Reason(what, AGENT_LOG, None, good.line, good.text, good.time))


RECOVERED = KnownCause(
    code="L34",
    slug="goal-state-recovered",
    title="An error of the goal state that is over",
    kind=Kind.BENIGN,
    means="The agent could not fetch its goal state for a moment, because the host was busy, serviced or restarted, "
    "and "
    "a later line says that it works again. The error stays in the log and draws the eye; it explains nothing that "
    "happens now.",
    looks_like=(
        "ERROR ExtHandler ExtHandler Error fetching the goal state: …",
        "INFO ExtHandler ExtHandler Fetching the goal state recovered from previous errors. Fetched …",
        "Retrieving the goal state recovered from previous errors",
    ),
    not_to_confuse=("L33: no later line takes the error back.",),
    signs=(Sign(Need.AGENT_LOG, _recovered),),
    sources=("WALA#2960", "WALA ga/update.py"),
)
