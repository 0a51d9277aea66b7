"""What a user is told of a boot that failed: the cause in the catalogue's words, and the repair that fits this VM."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from azext_vmagent.causes.boot import boot_remedies, serial_cause
from azext_vmagent.causes.catalogue import every_cause, find_cause, serial_signatures
from azext_vmagent.causes.findings import findings
from azext_vmagent.causes.known_cause import KnownCause
from azext_vmagent.facts.reading import read
from azext_vmagent.facts.serial_log import Outlook, SerialEvent, SerialLogFacts, SerialState, parse_serial_log
from azext_vmagent.model import Cause, Scenario, Verdict
from azext_vmagent.verdict.decide import decide
from azext_vmagent.verdict.naming import name_causes
from tests.causes.case import cases, evidence
from tests.verdict.build import NOT_READY, WISH, facts, serial

#: the actions of Azure Linux Auto Repair, and those for which Microsoft documents the repair button
ALAR = {"fstab", "kernel", "initrd", "serialconsole", "grubfix", "efifix", "auditd", "sudo", "corrupt"}
BUTTONS = {"fstab", "initrd", "grubfix", "efifix"}

KERNEL = "[    0.000000] Linux version 6.1.0-18-cloud-amd64\n"
NO_INITRD = KERNEL + ("[    1.026129] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n")
RESCUE = "error: no such partition.\nEntering rescue mode...\ngrub rescue> \n"
AUDIT = KERNEL + (
    "         Starting Security Auditing Service...\n"
    "[  OK  ] Reached target Shutdown.\n"
    "[   14.100000] reboot: Power down\n"
)
CUT_SHORT = KERNEL + "\nweb-03 login: \n[   88.000000] systemd-shutdown[1]: Powering off.\n"
TYPED = KERNEL + "\nweb-03 login: \n[  OK  ] Reached target Power-Off.\n[   88.000000] reboot: Power down\n"
ASKED_FROM_OUTSIDE = KERNEL + (
    "\nweb-03 login: \n"
    "[   80.000000] hv_utils: Shutdown request received - graceful shutdown initiated\n"
    "[   88.000000] reboot: Power down\n"
)
NO_VFAT_AND_SILENT = KERNEL + (
    "[   24.111029] dracut-initqueue[261]: mount: unknown filesystem type 'vfat'\n"
    "[   24.118570] dracut-initqueue[261]: ls: cannot access /mnt/azure_bek_disk/LinuxPassPhraseFileName*: No such file"
    " or directory\n"
)


def log(text: str) -> SerialLogFacts:
    return parse_serial_log(text.encode(), serial_signatures())


def verdict(text: str, **vm: object) -> Verdict:
    return decide(facts(vm=replace(NOT_READY, **vm), serial=log(text)), WISH)


def commands(found: Verdict) -> str:
    return "\n".join(step.command or "" for step in found.next_steps)


def test_a_panic_without_an_initramfs_names_the_repair_that_builds_one():
    found = verdict(NO_INITRD)
    assert found.scenario is Scenario.OS_NOT_RUNNING
    assert found.cause == Cause(
        "B07",
        "kernel-panic-vfs-root",
        "The kernel cannot mount the root file system: no usable initramfs",
        "The kernel could not mount the root file system: [    1.026129] Kernel panic - not syncing: VFS: Unable to "
        "mount root fs on unknown-block(0,0)",
        "unknown-block(0,0)",
    )
    assert "az vm repair repair-button -g rg-shop -n web-03 --button-command initrd" in commands(found)


@pytest.mark.parametrize(
    ("generation", "there", "not_there"), [("V1", "grubfix", "efifix"), ("V2", "efifix", "grubfix")]
)
def test_grub_is_reinstalled_by_the_script_of_the_vms_generation(generation: str, there: str, not_there: str):
    asked = commands(verdict(RESCUE, hyperv_generation=generation))
    assert f"--button-command {there}" in asked
    assert not_there not in asked


def test_both_scripts_are_named_where_the_generation_is_not_known():
    assert {"grubfix", "efifix"} <= set(re.findall(r"--button-command (\w+)", commands(verdict(RESCUE))))


def test_a_vm_without_a_disk_to_copy_is_not_told_to_repair_a_copy():
    asked = commands(verdict(RESCUE, ephemeral_os_disk=True))
    assert "az vm repair" not in asked


def test_a_boot_that_stands_still_for_a_known_reason_is_not_just_restarted():
    found = verdict(NO_VFAT_AND_SILENT)
    assert found.cause is not None
    assert found.cause.code == "B14"
    assert "az vm repair create" in commands(found)
    assert "az vm restart" not in commands(found)


def test_a_vm_that_auditd_switches_off_is_not_only_started_again():
    found = verdict(AUDIT, power="stopped")
    assert found.scenario is Scenario.VM_NOT_RUNNING
    assert [cause.code for cause in found.other_causes] == ["B21"]
    assert "--parameters auditd" in commands(found)


def test_a_vm_whose_guest_shut_down_says_so():
    found = verdict(TYPED, power="stopped")
    assert [cause.code for cause in found.other_causes] == ["B37"]
    assert any("Power down" in (reason.excerpt or "") for reason in found.because)
    assert commands(found) == "az vm start -g rg-shop -n web-03"


def test_a_log_that_is_cut_within_the_shutdown_says_it_as_well():
    assert [cause.code for cause in verdict(CUT_SHORT, power="stopped").other_causes] == ["B37"]


@pytest.mark.parametrize(("text", "power"), [(ASKED_FROM_OUTSIDE, "stopped"), (TYPED, "deallocated")])
def test_a_stop_from_azures_side_is_not_blamed_on_the_guest(text: str, power: str):
    assert verdict(text, power=power).other_causes == ()


def test_a_code_without_an_entry_is_still_said():
    line = SerialEvent(9, "the line", "what it means", "odd-words", "B99")
    found = serial_cause(
        serial(Outlook.NOT_BOOTED, SerialState.PANIC, deciding=(line,), cause_code="B99", cause_slug="odd-words")
    )
    assert found == Cause("B99", "odd-words", "Odd words", "What it means: the line", None)
    assert "az serial-console connect" in (boot_remedies(found, facts(vm=NOT_READY))[0].command or "")


BOOT = [
    case for case in cases() if case.code.startswith("B") and case.code in case.present and "serial" in case.evidence
]


@pytest.mark.parametrize("case", BOOT, ids=lambda case: case.name)
def test_a_boot_that_failed_is_told_in_the_words_of_its_entry(case):
    collected = evidence(case).value("serial log")
    cause = serial_cause(parse_serial_log(collected, serial_signatures()))
    if cause is None:
        return
    entry = find_cause(cause.code)
    assert entry is not None
    assert cause.slug in entry.slugs()
    steps = boot_remedies(cause, facts(vm=NOT_READY))
    assert [step.action for step in steps] == [remedy.action for remedy in entry.remedies]
    assert all(step.link for step in steps)


@pytest.mark.parametrize("case", BOOT, ids=lambda case: case.name)
def test_a_failed_boot_is_called_by_its_most_specific_cause(case):
    seen = read(evidence(case), serial_signatures())
    found = name_causes(decide(seen, WISH), seen, WISH, findings(seen, every_cause()))
    if found.scenario is Scenario.OS_NOT_RUNNING:
        assert found.cause is not None
        assert found.cause.code == case.code


@pytest.mark.parametrize("entry", every_cause(), ids=lambda entry: entry.code)
def test_repairs_are_ones_that_exist(entry: KnownCause):
    asked = " ".join(remedy.command for remedy in entry.remedies)
    assert set(re.findall(r"--button-command (\S+)", asked)) <= BUTTONS
    assert set(re.findall(r"--run-id linux-alar2 --parameters (\S+)", asked)) <= ALAR
    assert ("az vm repair run" in asked) <= ("az vm repair create" in asked)
