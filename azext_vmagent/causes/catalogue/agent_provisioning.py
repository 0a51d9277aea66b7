"""Scenario 1: the agent waits or is told to do nothing: cloud-init, configuration, unknown distributions."""

from __future__ import annotations

from azext_vmagent.causes.agent_signs import complains
from azext_vmagent.causes.catalogue.agent_steps import AGENT, GUIDE, REPORTS_AGAIN, SEE_LOG, UPDATE_AGENT, VM_ASSIST
from azext_vmagent.causes.known_cause import KnownCause, Remedy
from azext_vmagent.causes.signs import inside, serial_line, serial_words
from azext_vmagent.model import Scenario

_CLOUD_INIT_LINK = "troubleshoot/azure/virtual-machines/linux/linux-custom-image-provisioning-errors"
_CLOUD_INIT = Remedy(
    "see what cloud-init did, and whether it knows Azure",
    "cloud-init status --long; cloud-id; grep -rs datasource_list /etc/cloud/; tail -n 30 /var/log/cloud-init.log",
    effect="reads only",
)

EXTENSIONS_DISABLED = KnownCause(
    code="L13",
    slug="extensions-disabled",
    title="The agent is told to run no extensions",
    scenario=Scenario.AGENT_DEGRADED,
    means="Extensions.Enabled=n in /etc/waagent.conf. The agent runs and reports, but carries out neither "
    "extensions nor "
    "run commands, password resets or backups; requests for them wait until Azure gives up on them.",
    looks_like=(
        "Extensions.Enabled=n in /etc/waagent.conf",
        "Extension '…' will not be processed since extension processing is disabled. To enable extension "
        "processing, set "
        "Extensions.Enabled=y in '/etc/waagent.conf'",
    ),
    not_to_confuse=(
        "P04: the VM's model forbids extensions.",
        "P16: only the agent's own updates are switched off.",
        "A line that begins with # is a comment.",
    ),
    signs=(
        inside("configuration"),
        *complains(
            "extension processing is disabled",
            r"will not be processed since extension processing is disabled\. To enable .{0,40}Extensions\.Enabled=y",
            "the agent says that it runs no extensions",
        ),
    ),
    covers=("P10",),
    remedies=(
        Remedy(
            "let the agent run extensions again",
            "sed -i 's/^ *Extensions.Enabled *=.*/Extensions.Enabled=y/' /etc/waagent.conf && systemctl restart {unit}",
            effect="the agent takes up extensions and run commands that wait",
            undo="sed -i 's/^ *Extensions.Enabled *=.*/Extensions.Enabled=n/' /etc/waagent.conf && "
            "systemctl restart {unit}",
        ),
    ),
    links=(GUIDE, VM_ASSIST),
    sources=("azure-docs#42262", "vmassist: tux.md, Agent configurations", "WALA ga/exthandlers.py"),
)

WAITS_FOR_CLOUD_INIT = KnownCause(
    code="L14",
    slug="waits-for-cloud-init",
    title="The agent waits for cloud-init",
    scenario=Scenario.AGENT_STOPPED,
    means="Where cloud-init sets up the VM, the agent waits until it has written /var/lib/waagent/ovf-env.xml and "
    "the "
    "host keys of SSH, for half an hour at most. cloud-init is not installed, is disabled, found no data, or failed; "
    "until the agent gives up it reports nothing, and a new VM stays «creating».",
    looks_like=(
        "Waiting for cloud-init to copy ovf-env.xml to /var/lib/waagent/ovf-env.xml [360 retries remaining, "
        "sleeping 5s]",
        "Waiting for ssh host key be generated at /etc/ssh/ssh_host_rsa_key.pub [1800 attempts remaining, …]",
        "WARNING cloud-init does not appear to be running",
        "Giving up, ovf-env.xml was not copied to /var/lib/waagent/ovf-env.xml after 1800s",
    ),
    not_to_confuse=(
        "L15: cloud-init itself found no data source; mend that first.",
        "A few such lines in the first boot, before the agent goes on, are normal.",
        "N12: it waits for the network.",
    ),
    signs=(
        inside(),
        *complains(
            "Waiting for cloud-init to copy",
            r"Waiting for (?P<culprit>cloud-init) to copy ovf-env\.xml",
            "the agent waits for cloud-init",
            at_start=True,
        ),
        *complains("Waiting for ssh host key", r"Waiting for ssh host key be generated", at_start=True),
        *complains(
            "Giving up, ",
            r"Giving up, (?:ovf-env\.xml was not copied|ssh host key was not found)",
            "the agent has waited for cloud-init in vain",
            at_start=True,
        ),
    ),
    remedies=(
        _CLOUD_INIT,
        Remedy(
            "if cloud-init is disabled or missing, install and enable it, then restart the VM",
            "rm -f /etc/cloud/cloud-init.disabled; systemctl enable $(systemctl list-unit-files --no-legend "
            "'cloud-init*.service' cloud-config.service cloud-final.service | awk '$2 == \"disabled\" { print $1 }')",
            effect="cloud-init sets up the VM at its next boot, and the agent goes on",
            risk="where it never ran on this VM, it makes new SSH host keys and applies custom data",
        ),
        Remedy(
            "if this VM does not use cloud-init, tell the agent so",
            "sed -i 's/^ *Provisioning.Agent *=.*/Provisioning.Agent=disabled/' /etc/waagent.conf && "
            "systemctl restart {unit}",
            effect="the agent waits for nobody; " + REPORTS_AGAIN,
            undo="sed -i 's/^ *Provisioning.Agent *=.*/Provisioning.Agent=auto/' /etc/waagent.conf",
        ),
    ),
    links=(_CLOUD_INIT_LINK, "troubleshoot/azure/virtual-machines/linux/cloud-init-support-linux-vms"),
    sources=("WALA#1058", "WALA#1359", "WALA#664", "WALA#2025", "WALA pa/provision/cloudinit.py"),
)

NO_DATASOURCE = KnownCause(
    code="L15",
    slug="cloud-init-no-datasource",
    title="No data source was found by cloud-init",
    scenario=Scenario.AGENT_STOPPED,
    means="cloud-init does not see that it runs in Azure: its list of data sources leaves Azure out, the module udf "
    "that "
    "reads the provisioning DVD is forbidden, or it got no address to ask for its data. It then sets up nothing: no "
    "user, no keys, no network, and the agent waits for it.",
    looks_like=(
        "Can not apply stage final, no datasource found",
        "No instance datasource found",
        "Cloud-init v. 23.1.2 finished at … Datasource DataSourceNone.",
        "DataSourceNotFoundException: Did not find any data source, searched classes: ()",
    ),
    not_to_confuse=(
        "L14: cloud-init has its data and is merely late, or is disabled.",
        "«Datasource DataSourceAzure»: all is well.",
    ),
    signs=(
        serial_words("agent"),
        serial_line(
            "no datasource found",
            r"(?:cloud-init(?:\[\d+\])?: |^)Can not apply stage \w+, no datasource found",
            "cloud-init found no data source",
        ),
        serial_line(
            "instance datasource",
            r"(?:cloud-init(?:\[\d+\])?: |^)No instance datasource found! Likely bad things",
            "cloud-init found no data source",
        ),
        serial_line(
            "DataSourceN",
            r"loud-init v\. .{1,80} finished at .{1,80}Datasource DataSourceNone\b"
            r"|DataSourceNotFoundException: Did not find any data source",
            "cloud-init found no data source",
        ),
    ),
    covers=("L14",),
    remedies=(
        _CLOUD_INIT,
        Remedy(
            "let cloud-init look for Azure, and run it again at the next boot",
            "printf 'datasource_list: [ Azure ]\\n' >/etc/cloud/cloud.cfg.d/91-azure-datasource.cfg && cloud-init "
            "clean",
            effect="cloud-init sets up the VM anew at its next boot",
            risk="a new setup makes new SSH host keys and applies custom data again",
            undo="rm /etc/cloud/cloud.cfg.d/91-azure-datasource.cfg",
        ),
    ),
    links=(_CLOUD_INIT_LINK, "troubleshoot/azure/virtual-machines/linux/cloud-init-support-linux-vms"),
    sources=("WALA#1359", "WALA#126", "cloud-init cmd/main.py, sources/__init__.py"),
)

UNKNOWN_DISTRIBUTION = KnownCause(
    code="L35",
    slug="distribution-not-known",
    title="The agent does not know this distribution",
    scenario=Scenario.AGENT_STOPPED,
    means="The agent has code for each distribution that it knows; for others it says so once and takes code that "
    "fits "
    "most. Mostly that works. Where the system differs (FreeBSD, appliances, a new name that a distribution gave "
    "itself), the agent starts well and later stops reporting, or cannot find route, address or DHCP lease.",
    looks_like=(
        "WARNING Daemon Daemon Unable to load distro implementation for rhel. Using default distro implementation "
        "instead.",
        "an agent on FreeBSD that falls silent after about an hour",
    ),
    not_to_confuse=(
        "The same warning in an agent that goes on to fetch its goal state is harmless.",
        "P03: an appliance that has no agent by design.",
    ),
    signs=complains(
        "Unable to load distro implementation",
        r"Unable to load distro implementation for (?P<culprit>[^.]{1,60})\. Using default",
        "the agent does not know this distribution, and nothing shows that it works all the same",
        at_start=True,
    ),
    remedies=(SEE_LOG, UPDATE_AGENT),
    links=(AGENT, "azure/virtual-machines/linux/endorsed-distros"),
    sources=("WALA#142", "WALA#1055", "WALA#2079", "WALA#1089", "WALA common/osutil/factory.py"),
)
