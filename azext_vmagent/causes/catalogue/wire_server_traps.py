"""What looks as if the guest blocked the Wire Server, and does not: rules and tests that are no cause."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azext_vmagent.causes.catalogue.wire_server_path import PORTS, WIRE_SERVER
from azext_vmagent.causes.known_cause import Kind, KnownCause, Need, Remedy, Scene, Seen, Sign
from azext_vmagent.causes.signs import guest_shows, guest_word, told
from azext_vmagent.facts.guest_facts import Connect

_TRIED = (Connect.NOT_SAID, Connect.NO_TOOL)


def _metadata_fails(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    if guest is not None and guest.outcome(80) is Connect.OK and guest.metadata not in (Connect.OK, *_TRIED):
        what = f"169.254.169.254 ends {guest.metadata.value}, the Wire Server answers"
        yield guest_word(scene.facts, what, "tcp/80")


def _looks_blocked(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    """The agent's own rules, or a test as an ordinary user, which they stop."""
    guest = scene.facts.guest
    if guest is None:
        return
    if guest.root is False and any(test.blocked for test in guest.wire.values()):
        yield guest_word(
            scene.facts, "the test did not run as root: the agent's own rules stop everybody else", "tcp/80"
        )
    blamed = {block.rule for block in guest.rules.blocks}
    for rule in guest.rules.own:
        if re.search(r"DROP|drop", rule) and rule not in blamed:
            yield guest_word(scene.facts, "the agent's own rule: root passes before it", "firewall", rule)


def _forwarding(scene: Scene, _cause: KnownCause) -> Iterator[Seen]:
    guest = scene.facts.guest
    for rule in guest.rules.forwarding if guest is not None else ():
        yield guest_word(scene.facts, "the rule meets containers' traffic only", "firewall", rule)


METADATA_ALONE = KnownCause(
    code="N18",
    slug="metadata-service-fails",
    title="The instance metadata service fails, the Wire Server answers: not the cause",
    kind=Kind.BENIGN,
    means="169.254.169.254 (instance metadata) does not answer, 168.63.129.16 does. The agent needs the Wire Server to "
    "report; metadata only tells it details about the VM. Programs that ask for tokens or the VM's name suffer, the "
    "agent's state does not come from it.",
    looks_like=(
        "curl -H Metadata:true http://169.254.169.254/metadata/instance?api-version=2021-02-01: times out",
        "waagent.log: Failed to get IMDS info, while goal states are completed",
    ),
    not_to_confuse=("N09: nothing is reached, metadata included.",),
    signs=(guest_shows(_metadata_fails, "instance metadata", *PORTS),),
    remedies=(
        Remedy(
            "mend it separately: a rule or proxy that stops 169.254.169.254",
            "ip route get 169.254.169.254; iptables-save | grep -n 169.254",
            effect="reads only",
        ),
    ),
    links=(WIRE_SERVER,),
    sources=("vmassist", "WALinuxAgent common/protocol/imds.py"),
)


CONTAINER_RULE = KnownCause(
    code="N19",
    slug="container-rule",
    title="A rule that keeps containers from the Wire Server: not the cause",
    kind=Kind.BENIGN,
    means="Kubernetes nodes (AKS) and container hosts drop what their containers send to 168.63.129.16, with a rule "
    "of the chain FORWARD. The host's own traffic, the agent's too, passes OUTPUT and never meets it.",
    looks_like=("iptables -S FORWARD: -A FORWARD -d 168.63.129.16/32 -p tcp -m tcp --dport 80 -j DROP",),
    not_to_confuse=("N02: the same rule in OUTPUT stops the agent.",),
    signs=(guest_shows(_forwarding, "firewall"),),
    remedies=(),
    links=(WIRE_SERVER,),
    sources=("AgentBaker#345",),
)


OWN_RULES = KnownCause(
    code="N20",
    slug="agent-rules-mistaken",
    title="The agent's own rules, or a test that did not run as root: not a block",
    kind=Kind.BENIGN,
    means="The agent itself lets only root reach the Wire Server: a rule that accepts root, then one that drops what "
    "is new. In a listing this looks like a block, and a test as an ordinary user times out because of it. The agent "
    "runs as root and passes.",
    looks_like=(
        "iptables -t security -S OUTPUT: -d 168.63.129.16/32 -p tcp -m owner --uid-owner 0 -j ACCEPT, then … --ctstate "
        "INVALID,NEW -j DROP",
        "nft list ruleset: table ip walinuxagent",
        "curl http://168.63.129.16/?comp=versions times out, sudo curl … answers",
    ),
    not_to_confuse=(
        "N04: the rule for root is missing, or stands behind the one that drops.",
        "N02: a rule in another table that names no user.",
        "«iptables: No chain/target/match by that name» for the table security: the agent's rule failed, the way is "
        "open.",
    ),
    signs=(Sign(Need.GUEST, _looks_blocked, lambda facts: told("firewall")(facts) and facts.guest is not None),),
    remedies=(
        Remedy(
            "test as root, without a proxy",
            "curl --noproxy '*' -m 5 http://168.63.129.16/?comp=versions",
            effect="reads only",
        ),
    ),
    links=(WIRE_SERVER,),
    sources=("WALinuxAgent ga/firewall_manager.py", "Azure/GuestProxyAgent README", "WALA#1241"),
)
