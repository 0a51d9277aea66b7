"""Every fault of the agent's service and runtime, made in the real guest: scenario, cause and culprit, in one round trip.

The platform is slow here (it still shows Ready minutes later), so each verdict rests on the guest's own word. One
laboratory for all; after each fault the guest is what it was, by the files and mounts that the faults touch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.laboratory import Laboratory, cause, laboratory, offered, run_commands, said, scenario

pytestmark = [pytest.mark.real_guest, pytest.mark.every_fault]

UNIT = "walinuxagent.service"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/90-hardening.conf"
FINGERPRINT = f"""
    sha256sum /usr/sbin/waagent /etc/waagent.conf /usr/bin/openssl /lib/systemd/system/{UNIT} /var/lib/dpkg/status
    stat -c '%a %U %n' /usr/sbin/waagent /etc/waagent.conf /var/lib/waagent /usr/lib/python3/dist-packages/azurelinuxagent
    ls /etc/systemd/system /usr/lib/python3/dist-packages/azurelinuxagent | grep -v __pycache__
    systemctl is-enabled {UNIT}
    ls -d {DROP_IN} /var/lib/waagent/disable_agent /var/lib/waagent.away /var/tmp/waagent.* /var/log/app-debug.log
    cut -d ' ' -f 1-4 /proc/mounts | grep -v /run/user/
    echo $(($(date +%s) / 86400))
"""
WORKER = "until pgrep -f '[r]un-exthandlers' >/dev/null; do sleep 0.2; done"


@dataclass(frozen=True)
class Expected:
    """``culprit`` and ``evidence`` are parts of what the verdict names.

    ``scenario`` may name two, where it depends on the moment. ``from_worker``: the fault wants an agent at work; ``to_worker``: so does the look at what is no fault.
    """

    scenario: str
    code: str | None = None
    culprit: str = ""
    evidence: tuple[str, ...] = ()
    from_worker: bool = False
    to_worker: bool = False
    others: tuple[str, ...] = ()


FAULTS = {
    "agent-stopped": Expected("agent-stopped", "L01", UNIT, ("inactive (dead)",)),
    "agent-masked": Expected("agent-stopped", "L03", UNIT),
    "agent-package-removed": Expected(
        "agent-stopped", "L04", "waagent", ("/usr/sbin/waagent is missing", "waagent 2.7.3.0-4.1")
    ),
    "agent-module-missing": Expected("agent-stopped", "L06", "azurelinuxagent", ("No module named 'azurelinuxagent'",)),
    "agent-start-limit": Expected("agent-stopped", "L05", UNIT, ("failed (failed)",)),
    "agent-disabled-by-file": Expected("agent-stopped", "L41", "/var/lib/waagent/disable_agent", ("active (running)",)),
    "agent-config-missing": Expected("agent-stopped", "L25", "/etc/waagent.conf", ("/etc/waagent.conf is not there",)),
    "agent-interpreter-missing": Expected(
        "agent-stopped", "L43", "/usr/bin/python3.6", ("the interpreter of /usr/sbin/waagent is missing",)
    ),
    "agent-not-executable": Expected("agent-stopped", "L25", "/usr/sbin/waagent", ("is not executable",)),
    "agent-halted": Expected("agent-stopped", "L28", "", ("is stopped (state T)",), from_worker=True),
    "agent-worker-halted": Expected("agent-stopped", "L28", "", ("-run-exthandlers",), from_worker=True),
    "agent-frozen": Expected("agent-stopped", "L28", UNIT, ("is frozen",), from_worker=True),
    "agent-condition": Expected(
        "agent-stopped", "L40", f"{DROP_IN}: ConditionPathExists=/etc/azure/agent-wanted", ("inactive (dead)",)
    ),
    "agent-start-waits": Expected("uncertain", others=("L45",), evidence=("at work on first-boot-setup.service",)),
    "agent-unit-ip-deny": Expected(
        "wire-server-blocked",
        "N22",
        f"{DROP_IN}: IPAddressDeny=168.63.129.16",
        ("tcp/80 of 168.63.129.16 answers root",),
    ),
    "agent-unit-private-network": Expected("wire-server-blocked", "N22", f"{DROP_IN}: PrivateNetwork=yes"),
    "agent-proxy-environment": Expected("healthy", to_worker=True),
    "agent-proxy-configured": Expected("healthy", to_worker=True),
    "extensions-disabled": Expected("agent-degraded", "L13", "/etc/waagent.conf: Extensions.Enabled=n", to_worker=True),
    "openssl-missing": Expected("agent-stopped", "L21", "openssl", ("no program openssl",)),
    "disk-full": Expected("agent-stopped or agent-degraded", "L16", "/", ("KiB and", "inodes free for root")),
    "inodes-full": Expected("agent-stopped", "L17", "/var/lib/waagent", ("and 0 inodes free",)),
    "root-read-only": Expected("agent-stopped", "L31", "/", ("read-only",)),
    "var-noexec": Expected("agent-degraded", "L24", "/var", ("noexec",), from_worker=True),
    "clock-off": Expected("healthy", None, from_worker=True, others=("L42",)),
    "agent-second-daemon": Expected("healthy", None, to_worker=True, others=("L30",)),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with laboratory(tmp_path_factory.mktemp("lab"), "--guest", "real", "--not-ready-after", "900") as made:
        yield made


@pytest.fixture(scope="module")
def fingerprint(lab: Laboratory) -> str:
    """What the faults touch, before the first of them."""
    return lab.in_guest(FINGERPRINT)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(lab: Laboratory, fingerprint: str, fault: str) -> None:
    expected = FAULTS[fault]
    if expected.from_worker:
        lab.in_guest(WORKER)
    with lab.fault(fault):
        if expected.to_worker:
            lab.in_guest(WORKER)
        document = lab.inside()
    named = cause(document)
    assert scenario(document) in expected.scenario.split(" or "), document["verdict"]
    assert named.get("code") == expected.code, document["verdict"]
    assert expected.culprit in (named.get("culprit") or ""), named
    evidence = said(document)
    assert [text for text in expected.evidence if text not in evidence] == [], evidence
    assert set(expected.others) <= {other["code"] for other in document["verdict"]["otherCauses"]}
    assert lab.in_guest(FINGERPRINT) == fingerprint


def test_a_disabled_agent_is_told_from_a_stopped_one(lab: Laboratory, fingerprint: str) -> None:
    with lab.fault("agent-disabled"):
        document = lab.inside()
    assert (scenario(document), cause(document)["code"], cause(document)["culprit"]) == ("agent-stopped", "L02", UNIT)
    assert "systemctl enable --now walinuxagent" in offered(document)
    assert lab.in_guest(FINGERPRINT) == fingerprint


def test_the_healed_guest_is_healthy_and_was_sent_no_run_command(lab: Laboratory) -> None:
    lab.in_guest(WORKER)
    assert run_commands(lab.requests()) == []
    assert scenario(lab.inside()) == "healthy"
    lab.lab("set", "not_ready_after=30")
    lab.wait_for_agent("Ready")
