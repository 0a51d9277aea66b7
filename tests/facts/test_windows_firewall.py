"""Windows Firewall rule strings, judged as Windows does.

No Windows was at hand. The strings follow [MS-GPFAS] 2.2.2.19 and its example 4.2; the first is what the rule of the
VMAssist authors (Azure/azure-support-scripts, vmassist.ps1) would be stored as.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_vmagent.facts.windows_facts import FirewallProfile
from azext_vmagent.facts.windows_firewall import (
    ALLOW_WIRE_SERVER,
    Scene,
    StoredRule,
    WindowsRules,
    firewall_rules,
    profiles_in_force,
    rule_fields,
)

ID = "{F7EE5C6D-6C90-456B-9166-E301B1305A56}"
PLAIN = "Action=Block|Active=TRUE|Dir=Out|Protocol=6|RA4=168.63.129.16|Name=Block outbound traffic to 168.63.129.16"
OPEN = tuple(FirewallProfile(name) for name in ("domain", "private", "public"))
SCENE = Scene(OPEN, ("public",), "10.0.0.4", 20348, True)


def judged(fields: str = PLAIN, scene: Scene = SCENE, store: str = "local", name: str = ID) -> WindowsRules:
    return firewall_rules([StoredRule(store, name, f"v2.30|{fields}|")], scene)


def ports(found: WindowsRules) -> list[int]:
    return sorted(found.analysis.ports())


def test_a_rule_against_the_address_blocks_both_ports_and_is_named_with_its_undo():
    (block,) = judged().analysis.blocks
    assert block.ports == (80, 32526)
    assert block.rule == f"v2.30|{PLAIN}|"
    assert block.where == "local rules, «Block outbound traffic to 168.63.129.16»"
    assert block.undo == f"Disable-NetFirewallRule -Name '{ID}'"


@pytest.mark.parametrize(
    ("fields", "blocked"),
    [
        ("Action=Block|Active=TRUE|Dir=Out|", [80, 32526]),
        ("Action=Block|Active=TRUE|Dir=Out|RA4=168.63.128.0/255.255.128.0|", [80, 32526]),
        ("Action=Block|Active=TRUE|Dir=Out|RA4=168.63.129.0/24|RPort=80|Protocol=6|", [80]),
        ("Action=Block|Active=TRUE|Dir=Out|RA4=168.63.129.1-168.63.129.20|RPort2_10=32000-33000|Protocol=6|", [32526]),
        ("Action=Block|Active=TRUE|Dir=Out|RA4=10.0.0.1|RA4=168.63.129.16|", [80, 32526]),
        ("Action=Block|Active=TRUE|Dir=Out|LUAuth=D:(A;;CC;;;S-1-5-18)|", [80, 32526]),
        ("Action=Block|Active=TRUE|Dir=Out|LA4=10.0.0.0/255.255.255.0|IFType=Lan|", [80, 32526]),
        ("Action=Block|Active=TRUE|Dir=Out|LPort2_10=1-65535|Protocol=6|", [80, 32526]),
    ],
)
def test_a_rule_that_meets_the_agents_packets_blocks(fields, blocked):
    assert ports(judged(fields)) == blocked


@pytest.mark.parametrize(
    "changed",
    [
        ("Active=TRUE", "Active=FALSE"),
        ("Dir=Out", "Dir=In"),
        ("Action=Block", "Action=Allow"),
        ("Protocol=6", "Protocol=17"),
        ("RA4=168.63.129.16", "RA4=168.63.129.17"),
        ("RA4=168.63.129.16", "RA4=LocalSubnet"),
        ("RA4=168.63.129.16", "RA6=fe80::1"),
        ("Dir=Out", "Dir=Out|Profile=Domain"),
        ("Dir=Out", "Dir=Out|RPort=443"),
        ("Dir=Out", "Dir=Out|LPort=80"),
        ("Dir=Out", "Dir=Out|App=%ProgramFiles%\\Contoso\\updater.exe"),
        ("Dir=Out", "Dir=Out|App=%SystemRoot%\\system32\\svchost.exe|Svc=wuauserv"),
        ("Dir=Out", "Dir=Out|AppPkgId=S-1-15-2-1861897761"),
        ("Dir=Out", "Dir=Out|LUAuth=D:(A;;CC;;;S-1-5-32-545)"),
        ("Dir=Out", "Dir=Out|LA4=192.168.7.9"),
        ("Dir=Out", "Dir=Out|IFType=Wireless"),
    ],
)
def test_the_near_miss_of_each_condition_does_not(changed):
    found = judged(PLAIN.replace(*changed))
    assert (found.analysis.blocks, found.analysis.undecided, found.agent_only) == ((), (), ())


@pytest.mark.parametrize("more", ["TTK2_22=x", "IF={4D36E972-E325-11CE-BFC1-08002BE10318}", "Security=Authenticate",
                                  "RA4=DHCP", "RA42=IntErnet", "RPort=Teredo", "LUAuth=O:BA"])  # fmt: skip
def test_what_cannot_be_judged_is_undecided_and_never_blamed(more):
    fields = PLAIN.replace("RA4=168.63.129.16|", "") if more.startswith("RA") else PLAIN
    found = judged(f"{fields}|{more}")
    assert found.analysis.blocks == ()
    assert more.partition("=")[2] in found.analysis.undecided[0].because


def test_a_rule_for_the_agents_program_blocks_the_agent_and_not_the_probe():
    found = judged(PLAIN.replace("Dir=Out", "Dir=Out|App=C:\\WindowsAzure\\Packages\\WaAppAgent.exe"))
    assert (found.analysis.blocks, len(found.agent_only), found.probe_only) == ((), 1, ())
    assert len(judged(PLAIN.replace("Dir=Out", "Dir=Out|Svc=RdAgent")).agent_only) == 1


def test_a_rule_for_powershell_blocks_the_probe_and_not_the_agent():
    found = judged(
        PLAIN.replace("Dir=Out", "Dir=Out|App=%SystemRoot%\\System32\\WindowsPowerShell\\v1.0\\powershell.exe")
    )
    assert (found.analysis.blocks, found.agent_only, len(found.probe_only)) == ((), (), 1)


def test_a_profile_that_is_off_or_not_connected_enforces_nothing():
    off = replace(SCENE, profiles=tuple(replace(p, enabled=p.name != "public") for p in OPEN))
    assert ports(judged(scene=off)) == []
    assert ports(judged(scene=replace(off, active=("private",)))) == [80, 32526]


def test_policy_that_shuts_out_local_rules_heeds_its_own():
    scene = replace(SCENE, profiles=tuple(replace(p, merges_local=False) for p in OPEN))
    assert ports(judged(scene=scene)) == []
    (block,) = judged(scene=scene, store="gpo").analysis.blocks
    assert (block.undo, block.where.startswith("Group Policy")) == (None, True)


def test_without_the_firewalls_service_nothing_is_certain():
    assert judged(scene=replace(SCENE, enforced=False)).analysis.blocks == ()
    assert judged(scene=replace(SCENE, enforced=False)).analysis.undecided


def test_unknown_networks_leave_a_doubt_only_where_profiles_differ():
    unknown = replace(SCENE, active=None)
    assert ports(judged(scene=unknown)) == [80, 32526]
    assert ports(judged(PLAIN + "|Profile=Public", unknown)) == []
    assert judged(PLAIN + "|Profile=Public", unknown).analysis.undecided


CLOSED = replace(SCENE, profiles=tuple(replace(p, blocks_outbound=True) for p in OPEN))
LET_IN = "Action=Allow|Active=TRUE|Dir=Out|Protocol=6|RA4=168.63.129.16|Name=Wire Server"


def test_a_profile_that_blocks_by_default_blocks_what_no_rule_allows():
    (block,) = firewall_rules([], CLOSED).analysis.blocks
    assert (block.tool, block.ports, block.undo) == ("windows-firewall-profile", (80, 32526), ALLOW_WIRE_SERVER)


def test_an_allow_rule_lets_it_pass_and_a_block_rule_beats_it():
    assert judged(LET_IN, CLOSED).analysis.blocks == ()
    assert [b.ports for b in judged(LET_IN + "|RPort=80", CLOSED).analysis.blocks] == [(32526,)]
    both = firewall_rules([StoredRule("local", ID, f"v2.30|{t}|") for t in (LET_IN, PLAIN)], CLOSED)
    assert [block.tool for block in both.analysis.blocks] == ["windows-firewall"]


def test_an_allow_rule_for_the_agent_alone_leaves_the_probe_outside():
    found = judged(LET_IN + "|App=C:\\WindowsAzure\\Packages\\WaAppAgent.exe", CLOSED)
    assert (found.analysis.blocks, len(found.probe_only)) == ((), 1)


def test_group_policy_comes_before_the_local_setting():
    rows = [
        {"store": "local", "name": "StandardProfile", "on": 1, "out": 0, "merge": None},
        {"store": "gpo", "name": "StandardProfile", "on": 0, "out": None, "merge": 0},
        {"store": "gpo", "name": "PublicProfile", "on": None, "out": 1, "merge": None},
    ]
    domain, private, public = profiles_in_force(rows)
    assert (domain.enabled, domain.blocks_outbound, domain.merges_local) == (True, False, True)
    assert (private.enabled, private.merges_local) == (False, False)
    assert (public.enabled, public.blocks_outbound, public.by_policy) == (True, True, True)


@pytest.mark.parametrize(
    ("name", "undo"),
    [
        ("CoreNet-Block", "Disable-NetFirewallRule -Name 'CoreNet-Block'"),
        ("it's; Stop-Computer #", "Disable-NetFirewallRule -Name 'it''s; Stop-Computer #'"),
        ("$(Stop-Computer)", "Disable-NetFirewallRule -Name '$(Stop-Computer)'"),
        ("*", None),
        ("a[bc]?", None),
        ("", None),
    ],
)
def test_a_hostile_name_is_quoted_or_not_named_at_all(name, undo):
    assert judged(name=name).analysis.blocks[0].undo == undo


def test_server_2008_r2_is_served_by_netsh_unless_the_name_would_hit_more():
    old = replace(SCENE, build=7601)
    assert judged(scene=old).analysis.blocks[0].undo == (
        "netsh advfirewall firewall set rule 'name=Block outbound traffic to 168.63.129.16' dir=out new enable=no"
    )
    for name in ("all", "*", 'x" & shutdown /s "', "$(x)", "@FirewallAPI.dll,-1"):
        assert judged(PLAIN.rpartition("|Name=")[0] + f"|Name={name}", old).analysis.blocks[0].undo is None


def test_what_windows_does_not_take_for_a_rule_is_none():
    assert rule_fields("BlockCortana|Action=Block|Active=TRUE|Dir=Out|") is None
    assert rule_fields("") is None


TOKENS = st.sampled_from(["Action=Block", "Active=TRUE", "Dir=Out", "Protocol=6", "RA4=", "RA4=168.63.129.16", "RPort=80",
                          "RPort=-", "LUAuth=D:(A;;CC;;;", "Profile=Public", "App=", "Svc=*", "=", "x"])  # fmt: skip


@given(
    st.lists(st.one_of(TOKENS, st.text(max_size=20)), max_size=12),
    st.text(max_size=20),
    st.sampled_from([None, ("public",)]),
)
def test_any_text_is_judged_without_an_error_and_never_spoils_an_undo(parts, name, active):
    found = firewall_rules([StoredRule("local", name, "v2.30|" + "|".join(parts))], replace(SCENE, active=active))
    for block in (*found.analysis.blocks, *found.agent_only, *found.probe_only):
        assert block.undo is None or block.undo.count("'") % 2 == 0
