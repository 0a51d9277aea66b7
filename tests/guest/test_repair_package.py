"""The agent's package installed again: a package manager is a stub that leaves what its script says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from azext_vmagent.repair.record import Result
from tests.guest.namespace import lacking
from tests.guest.repairing import RepairGuest, act, repair_guest
from tests.guest.test_repair_agent import SYSTEMCTL, UNIT

pytestmark = [
    pytest.mark.this_machine,
    pytest.mark.skipif(bool(lacking()), reason=f"NOT TRIED in a namespace: lacking {lacking()}"),
]
PROGRAM = r"""printf '#!/bin/sh\necho WALinuxAgent-2.7.3.0 running\n' >/usr/sbin/waagent; chmod 755 /usr/sbin/waagent"""
BRINGS = f"""{PROGRAM}
[ -e /etc/waagent.conf ] || echo 'Packaged=y' >/etc/waagent.conf
echo loaded >/run/unit/LoadState; echo enabled >/run/unit/UnitFileState"""
#: installs when it is told to install and not only to fetch
APT = """echo "$*" >>/run/packages
case " $* " in *' -d '*|*' update '*) exit 0 ;; esac
%s"""


@pytest.fixture
def guest() -> Iterator[RepairGuest]:
    with repair_guest() as made:
        made.tool("systemctl", SYSTEMCTL)
        made.sh("""
            mkdir -p /run/unit /run/up /run/work /run/etc /run/etc-work
            mount -t overlay -o lowerdir=/usr/sbin,upperdir=/run/up,workdir=/run/work over /usr/sbin
            mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc-work over /etc
            cd /run/unit
            echo loaded >LoadState; echo failed >ActiveState; echo enabled >UnitFileState; echo success >Result
            echo 0 >MainPID; echo running >FreezerState
        """)
        yield made
        made.run("sh", f"systemctl stop {UNIT}")


@pytest.mark.parametrize(
    ("manager", "package", "words"),
    [
        ("apt-get", "walinuxagent", "install --reinstall walinuxagent"),
        ("dnf", "WALinuxAgent", "reinstall WALinuxAgent"),
        ("zypper", "python-azure-agent", "install --force python-azure-agent"),
    ],
)
def test_the_package_is_reinstalled_with_what_the_distribution_has(
    guest: RepairGuest, manager: str, package: str, words: str
) -> None:
    guest.tool(manager, APT % BRINGS)
    plan = act("reinstall-agent", manager, package)
    assert guest.repair(plan).result is Result.APPLIED
    assert guest.sh("cat /run/packages").strip().endswith(words)
    assert guest.repair(plan).result is Result.NOTHING_TO_DO


def test_on_debian_all_is_fetched_first_nothing_else_removed_and_the_users_configuration_kept(
    guest: RepairGuest,
) -> None:
    guest.sh("echo 'Mine=y' >/etc/waagent.conf")
    guest.tool("apt-get", APT % BRINGS)
    assert guest.repair(act("reinstall-agent", "apt-get", "waagent")).result is Result.APPLIED
    fetch, install = guest.sh("cat /run/packages").strip().split("\n")
    assert " -d " in f" {fetch} "
    for words in (fetch, install):
        assert "--no-remove" in words
    assert "--force-confold" in install
    assert "--force-confmiss" in install
    assert guest.sh("cat /etc/waagent.conf") == "Mine=y\n"


def test_a_missing_configuration_is_reason_enough(guest: RepairGuest) -> None:
    """The program still tells its version then, and the agent ends as soon as it starts."""
    guest.sh(PROGRAM)
    guest.tool("apt-get", APT % BRINGS)
    record = guest.repair(act("reinstall-agent", "apt-get", "waagent"), act("start-agent", UNIT))
    assert record.result is Result.APPLIED
    assert guest.sh("cat /etc/waagent.conf") == "Packaged=y\n"


def test_what_the_package_brings_is_enabled_and_started_in_the_same_plan(guest: RepairGuest) -> None:
    guest.sh("cd /run/unit; echo not-found >LoadState; echo inactive >ActiveState; rm UnitFileState")
    guest.tool("apt-get", APT % BRINGS)
    plan = (act("reinstall-agent", "apt-get", "waagent"), act("enable-agent", UNIT), act("start-agent", UNIT))
    record = guest.repair(*plan)
    assert record.result is Result.APPLIED, record
    assert guest.sh("cat /run/unit/ActiveState") == "active\n"
    assert guest.repair(*plan).result is Result.NOTHING_TO_DO


def test_without_the_package_in_the_plan_a_missing_unit_stops(guest: RepairGuest) -> None:
    guest.sh("echo not-found >/run/unit/LoadState")
    record = guest.repair(act("start-agent", UNIT))
    assert (record.result, record.steps[-1].detail) == (Result.CHANGED, "there is no such unit")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'E: Unable to locate package waagent' >&2; exit 100", "no package source has it"),
        ("echo 'Reinstallation of waagent is not possible, it cannot be downloaded.'", "no package source has it"),
        ("echo \"E: Failed to fetch http://d/x  Temporary failure resolving 'd'\" >&2; exit 100", "no package source is reached"),
        ("echo 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 77' >&2; exit 100",
         "the package manager is in use"),
    ],
)  # fmt: skip
def test_a_package_that_cannot_be_had_is_said_and_nothing_is_changed(guest: RepairGuest, script: str, why: str) -> None:
    guest.tool("apt-get", f'echo "$*" >>/run/packages\n{script}')
    record = guest.repair(act("reinstall-agent", "apt-get", "waagent"))
    assert (record.result, record.outcome(1, "apply")) == (Result.FAILED, "failed")
    assert record.steps[-1].detail == why
    assert " install --reinstall waagent" not in [
        line for line in guest.sh("cat /run/packages").split("\n") if " -d " not in line
    ]
    assert guest.sh("[ -e /usr/sbin/waagent ] && echo there || echo no") == "no\n"


def test_a_package_that_does_not_help_is_not_called_repaired(guest: RepairGuest) -> None:
    guest.tool("apt-get", APT % "exit 0")
    record = guest.repair(act("reinstall-agent", "apt-get", "waagent"))
    assert (record.result, record.outcome(1, "verify")) == (Result.FAILED, "failed")


def test_openssl_comes_back(guest: RepairGuest) -> None:
    guest.sh("cd /run/unit; echo inactive >ActiveState")
    guest.tool("openssl", "exit 127")
    guest.tool("apt-get", APT % "printf '#!/bin/sh\\necho OpenSSL 3\\n' >/run/tools/openssl")
    plan = act("reinstall-agent", "apt-get", "openssl")
    assert guest.repair(plan).result is Result.APPLIED
    assert guest.sh("cat /run/packages").strip().endswith("install --reinstall openssl")
    assert guest.repair(plan).result is Result.NOTHING_TO_DO
