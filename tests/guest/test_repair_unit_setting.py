"""A line of a unit's drop-in is taken out, and nothing else of the file."""

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
FOLDER = f"/etc/systemd/system/{UNIT}.d"
FILE = f"{FOLDER}/90-hardening.conf"
DENY = "IPAddressDeny=168.63.129.16"
MIXED = f"# ours\n[Service]\nNice=5\n  {DENY}\nEnvironment=A=1\n"


@pytest.fixture
def guest() -> Iterator[RepairGuest]:
    with repair_guest() as made:
        made.tool("systemctl", SYSTEMCTL)
        made.sh(f"""
            mkdir -p /run/unit /run/etc /run/etc-work
            mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc-work over /etc
            mkdir -p {FOLDER}
            cd /run/unit
            echo loaded >LoadState; echo active >ActiveState; echo enabled >UnitFileState; echo success >Result
            echo 0 >MainPID; echo running >FreezerState
        """)
        yield made
        made.run("sh", f"systemctl stop {UNIT}")


def written(guest: RepairGuest, text: str, file: str = FILE) -> None:
    guest.sh(f"cat >{file} <<'END'\n{text}END\nchmod 640 {file}; touch -d 2024-01-02 {file}")


def of(guest: RepairGuest, file: str = FILE) -> str:
    return guest.sh(f"stat -c '%a %u %Y' {file}; cat {file}")


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_the_line_goes_every_other_stays_and_undo_puts_the_file_back(guest: RepairGuest, shell: str) -> None:
    written(guest, MIXED)
    before = of(guest)
    plan = (act("remove-unit-setting", UNIT, FILE, DENY), act("restart-agent", UNIT, "now", "-"))
    assert guest.repair(*plan, shell=shell).result is Result.APPLIED
    assert guest.sh(f"cat {FILE}") == MIXED.replace(f"  {DENY}\n", "")
    assert guest.sh(f"stat -c %a {FILE}") == "640\n"
    asked = guest.sh("cat /run/asked").split("\n")
    assert asked.index("daemon-reload") < asked.index(f"--no-block restart -- {UNIT}")
    assert guest.undo(shell).result is Result.UNDONE
    assert of(guest) == before


def test_two_lines_of_one_file_come_back_in_their_places(guest: RepairGuest) -> None:
    text = f"[Service]\n{DENY}\nNice=5\nIPAddressDeny=any\n"
    written(guest, text)
    plan = [act("remove-unit-setting", UNIT, FILE, line) for line in (DENY, "IPAddressDeny=any")]
    assert guest.repair(*plan).result is Result.APPLIED
    assert guest.sh(f"cat {FILE}") == "[Service]\nNice=5\n"
    assert guest.repair(*plan).result is Result.NOTHING_TO_DO
    guest.undo()
    assert guest.sh(f"cat {FILE}") == text


@pytest.mark.parametrize("at", ["applying 1", "applying 1+", "applied 1", "applied 1+", "applied 2", "applied 2+"])
def test_killed_half_way_a_second_run_goes_on_and_undo_reverts_it(guest: RepairGuest, at: str) -> None:
    text = f"[Service]\n{DENY}\nNice=5\nIPAddressDeny=any\n"
    written(guest, text)
    plan = [act("remove-unit-setting", UNIT, FILE, line) for line in (DENY, "IPAddressDeny=any")]
    guest.killed(plan, at)
    assert guest.repair(*plan).result is Result.APPLIED
    assert guest.sh(f"cat {FILE}") == "[Service]\nNice=5\n"
    guest.undo()
    assert guest.sh(f"cat {FILE}") == text


def test_a_line_that_goes_on_is_left_alone(guest: RepairGuest) -> None:
    for text in (f"[Service]\n{DENY}\\\n  10.0.0.1\n", f"[Service]\nNice=1 \\\n{DENY}\n"):
        written(guest, text)
        setting = f"{DENY}\\" if f"{DENY}\\" in text else DENY
        assert guest.repair(act("remove-unit-setting", UNIT, FILE, setting)).result is Result.FAILED
        assert guest.sh(f"cat {FILE}") == text


def test_a_line_that_reads_otherwise_now_is_left_alone(guest: RepairGuest) -> None:
    text = "[Service]\nIPAddressDeny=168.63.129.0/24\n"
    written(guest, text)
    assert guest.repair(act("remove-unit-setting", UNIT, FILE, DENY)).result is Result.NOTHING_TO_DO
    assert guest.sh(f"cat {FILE}") == text


def test_what_somebody_wrote_since_is_not_overwritten_by_an_undo(guest: RepairGuest) -> None:
    written(guest, MIXED)
    guest.repair(act("remove-unit-setting", UNIT, FILE, DENY))
    guest.sh(f"echo Nice=9 >>{FILE}")
    now = of(guest)
    assert guest.undo().result is Result.FAILED
    assert of(guest) == now


@pytest.mark.parametrize(
    ("file", "setting"),
    [
        ("/etc/systemd/system/ssh.service.d/x.conf", DENY),
        (f"{FOLDER}/../../../passwd", DENY),
        (f"{FOLDER}/sub/x.conf", DENY),
        (f"{FOLDER}/$(touch /run/hostile).conf", DENY),
        (f"/usr/lib/systemd/system/{UNIT}.d/x.conf", DENY),
        (FILE, "ExecStart=/opt/agent"),
        (FILE, "[Service]"),
    ],
)
def test_no_other_file_and_no_other_line(guest: RepairGuest, file: str, setting: str) -> None:
    written(guest, f"{MIXED}ExecStart=/opt/agent\n")
    before = of(guest)
    assert guest.repair(act("remove-unit-setting", UNIT, file, setting)).result is Result.FAILED
    assert of(guest) == before
    assert guest.sh("[ -e /run/hostile ] && echo yes || echo no") == "no\n"


def test_a_link_and_a_file_of_another_user_are_left_alone(guest: RepairGuest) -> None:
    written(guest, MIXED, "/run/elsewhere.conf")
    guest.sh(f"ln -s /run/elsewhere.conf {FILE}")
    assert guest.repair(act("remove-unit-setting", UNIT, FILE, DENY)).result is Result.CHANGED
    guest.sh(f"rm {FILE}")
    written(guest, MIXED)
    guest.sh(f"chown 1000 {FILE}")
    assert guest.repair(act("remove-unit-setting", UNIT, FILE, DENY)).result is Result.CHANGED
    assert guest.sh(f"cat {FILE} /run/elsewhere.conf") == MIXED * 2
