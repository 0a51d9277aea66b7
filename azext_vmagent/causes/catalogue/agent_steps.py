"""What entries on the Linux agent share: pages, and steps that help against several of its troubles."""

from __future__ import annotations

from azext_vmagent.causes.known_cause import Remedy

GUIDE = "troubleshoot/azure/virtual-machines/linux/linux-azure-guest-agent"
UPDATE = "azure/virtual-machines/extensions/update-linux-agent"
AGENT = "azure/virtual-machines/extensions/agent-linux"
VM_ASSIST = "troubleshoot/azure/virtual-machines/linux/linux-azure-guest-agent-tools-vmassist"

#: a deleted configuration file comes back only when told so; one that was changed is kept
APT_AGAIN = "apt-get install --reinstall -y -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confmiss"

REPORTS_AGAIN = "the agent reports again within about a minute"

SEE_WHY = Remedy(
    "see what the service printed when it ended",
    "systemctl status {unit}; journalctl -u {unit} -n 50 --no-pager",
    effect="reads only",
)
SEE_LOG = Remedy("see what the agent said last", "tail -n 50 /var/log/waagent.log", effect="reads only")
START = Remedy("start the agent", "systemctl start {unit}", effect=REPORTS_AGAIN, undo="systemctl stop {unit}")
RESTART = Remedy("restart the agent", "systemctl restart {unit}", effect=REPORTS_AGAIN)
UPDATE_AGENT = Remedy("update the agent", effect="replaces a version that has this fault", link=UPDATE)
REINSTALL = (
    Remedy(
        "on Debian and Ubuntu, install the package again (Debian 13 calls it waagent)",
        f"{APT_AGAIN} walinuxagent",
        effect="puts program, Python module, unit and a deleted configuration back",
        link=UPDATE,
    ),
    Remedy(
        "on Red Hat Enterprise Linux and its kin, install the package again",
        "dnf reinstall -y WALinuxAgent || dnf install -y WALinuxAgent",
        effect="puts program, Python module and unit back",
        link=UPDATE,
    ),
    Remedy(
        "on SUSE, install the package again",
        "zypper install -f -y python-azure-agent",
        effect="puts program, Python module and unit back",
        link=UPDATE,
    ),
)
