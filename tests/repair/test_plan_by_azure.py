"""What Azure itself is to do: which of it is planned, what it costs this VM, and what this VM forbids."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_vmagent.facts.host_metrics import NetworkTrend
from azext_vmagent.facts.port import PortOutcome, parse_nic
from azext_vmagent.repair.actions.azure import action
from azext_vmagent.repair.model import Permission, Risk
from azext_vmagent.repair.plan import plan
from tests.azure_double import nic
from tests.repair.case import diagnosis, planned, refused
from tests.verdict.build import NOT_READY, OPEN, PROMPT, facts, metrics, port

#: scenario 3, and nobody can log in
CUT = facts(
    vm=NOT_READY,
    network=OPEN,
    serial=PROMPT,
    metrics=metrics(NetworkTrend.FELL, now=True),
    port=port(PortOutcome.TIMED_OUT),
)
REDEPLOY = replace(
    next(s for s in diagnosis(CUT).verdict.next_steps if (s.command or "").startswith("az vm restart")),
    command="az vm redeploy -g rg -n vm",
)


def kinds(seen, *allowed):
    return [one.kind for one in planned(seen, *allowed).actions]


def test_a_cut_off_vm_is_restarted_first_and_its_interface_reset_by_those_who_name_it():
    assert kinds(CUT) == ["restart"]
    assert kinds(CUT, Permission.RESTART) == ["restart"]
    assert kinds(CUT, Permission.RESET_NIC) == ["reset-nic"]
    assert kinds(CUT, *Permission) == ["restart"]


def test_each_says_what_it_needs_and_what_proves_it():
    for permission in (Permission.RESTART, Permission.RESET_NIC):
        (one,) = planned(CUT, permission).actions
        assert (one.allow, one.risk) == (permission, Risk.REBOOT)
        assert one.proof
        assert "unsaved work in the guest" in one.loses
    assert any("private address" in lost for lost in planned(CUT, Permission.RESET_NIC).actions[0].loses)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (replace(CUT, vm=replace(NOT_READY, nic_ids=("a", "b"))), "2 network interfaces"),
        (replace(CUT, network=replace(OPEN, configurations=3)), "3 configurations"),
    ],
)
def test_an_interface_that_cannot_be_reset_whole_is_not_reset(seen, why):
    found = planned(seen, Permission.RESET_NIC)
    assert refused(found) == "nic-not-resettable"
    assert why in found.refusal.why
    assert any("az vm restart" in (step.command or "") for step in found.refusal.next_steps)
    assert kinds(seen) == ["restart"]
    assert kinds(seen, Permission.RESET_NIC, Permission.RESTART) == ["restart"]
    assert kinds(replace(CUT, network=replace(OPEN, configurations=1)), Permission.RESET_NIC) == ["reset-nic"]


@pytest.mark.parametrize("permission", [Permission.REDEPLOY, Permission.RESET_NIC])
def test_an_ephemeral_os_disk_forbids_what_would_erase_it_and_says_so(permission):
    seen = replace(CUT, vm=replace(NOT_READY, ephemeral_os_disk=True))
    assert refused(planned(seen, permission)) == "ephemeral-os-disk"
    assert kinds(seen) == ["restart"]


def test_nothing_comes_after_an_offline_repair():
    found = diagnosis(CUT)
    restart = next(s for s in found.verdict.next_steps if (s.command or "").startswith("az vm restart"))
    offline = replace(restart, command="az vm repair create -g rg -n vm")
    assert (
        refused(plan(replace(found, verdict=replace(found.verdict, next_steps=(offline, restart))))) == "no-safe-cure"
    )


def lost(vm=NOT_READY, network=None):
    return "; ".join(action(REDEPLOY, vm, network).loses)


def test_a_redeployment_says_what_this_vm_loses_by_it():
    assert "temporary disk, if it has one" in lost()
    assert "local NVMe disks, if it has any" in lost()
    assert "the local NVMe disks of a Standard_L8s_v3" in lost(replace(NOT_READY, size="Standard_L8s_v3"))
    assert "Spot" in lost(replace(NOT_READY, spot=True))
    assert "Spot" not in lost()


@pytest.mark.parametrize(
    ("private", "public", "said"),
    [
        ("Dynamic", "Static", "its private address, dynamic"),
        ("Static", "Dynamic", "its public address, dynamic"),
        ("Dynamic", "Dynamic", "its private and its public address, dynamic"),
        ("Static", "Static", None),
        (None, "Static", "a dynamic address, which may change"),
    ],
)
def test_an_address_is_called_lost_only_where_it_is_dynamic_or_may_be(private, public, said):
    seen = nic()
    configuration = seen["properties"]["ipConfigurations"][0]["properties"]
    configuration["privateIPAllocationMethod"] = private
    configuration["publicIPAddress"]["properties"]["publicIPAllocationMethod"] = public
    network = parse_nic(seen, 22)
    assert network.configurations == 1
    assert ("address" in lost(network=network)) is (said is not None)
    assert (said or "") in lost(network=network)
