"""Help texts. Imported by every ``az vm …``: text only."""

from knack.help_files import helps

helps["vm agent-diagnose"] = """
type: command
short-summary: Tell why Azure says that a virtual machine's agent is not ready.
long-summary: >-
  Asks everything that needs no guest at once (instance view, serial log, host metrics, resource health, the SSH or RDP
  port), then looks inside the guest once through the one channel that can work, and ends in a verdict: 1 the agent is
  stopped, 2 the guest blocks the Wire Server (168.63.129.16), 3 the network interface is down, 4 the guest OS hangs or
  did not boot, or none of these and why, with the evidence and the next step. Changes nothing on the virtual machine
  without --repair or --undo.
  On a terminal the report is shown; with --output, --query or a pipe the object is. A diagnosis ends with 0 whatever
  it finds; a repair or an undo that did not come about (refused, not agreed to, not repaired) ends with 1, and
  repair.outcome in the object says which; --exit-code tells each by a number of its own.
examples:
  - name: Diagnose one virtual machine.
    text: az vm agent-diagnose -g MyResourceGroup -n MyVm
  - name: Look inside the guest through SSH as well, which tells scenario 1 from 2 and names the blocking rule.
    text: az vm agent-diagnose -g MyResourceGroup -n MyVm --ssh-user azureuser
  - name: Diagnose all virtual machines of a group, one row each.
    text: az vm agent-diagnose --ids $(az vm list -g MyResourceGroup --query "[].id" -o tsv) -o table
  - name: Only the scenario, for a script.
    text: az vm agent-diagnose -g MyResourceGroup -n MyVm --query verdict.scenario -o tsv
  - name: Show what would put it right, and change nothing.
    text: az vm agent-diagnose -g MyResourceGroup -n MyVm --ssh-user azureuser --repair --dry-run
  - name: Put it right after one question, wait until Azure shows the agent Ready, and look again.
    text: az vm agent-diagnose -g MyResourceGroup -n MyVm --ssh-user azureuser --repair
  - name: Put several right, one after another, without a question; it ends at the first that gets worse.
    text: az vm agent-diagnose -g MyResourceGroup -n Vm1 Vm2 --ssh-user azureuser --repair --yes -o table
  - name: How the repair ended, in one word for a script.
    text: >-
        az vm agent-diagnose -g MyResourceGroup -n MyVm --ssh-user azureuser --repair --yes
        --query repair.outcome -o tsv
  - name: Take the last repair of the guest back.
    text: az vm agent-diagnose -g MyResourceGroup -n MyVm --ssh-user azureuser --undo
  - name: Print a script to paste into a root shell of the virtual machine, then diagnose with what it answered.
    text: |
        az vm agent-diagnose --print-probe
        az vm agent-diagnose -g MyResourceGroup -n MyVm --probe-output answer.txt
  - name: With the configuration that az ssh config wrote.
    text: >-
        az vm agent-diagnose -g MyResourceGroup -n MyVm --ssh-user me@contoso.com --ssh-config ./config
        --ssh-host MyResourceGroup-MyVm
  - name: Log in at the serial console, which needs neither the agent nor the guest's network. Asks for the password.
    text: az vm agent-diagnose -g MyResourceGroup -n MyVm --console-user azureuser
  - name: Through a tunnel that was opened with az network bastion tunnel.
    text: az vm agent-diagnose -g MyResourceGroup -n MyVm --ssh-user azureuser --ssh-host 127.0.0.1 --ssh-port 2222
"""

helps["vm agent-explain"] = """
type: command
short-summary: Explain a cause of an agent that is not ready, or list all that are known.
long-summary: >-
  Says what a cause means, what it looks like, what it is not, how a diagnosis sees it and what to do. Without --cause
  all causes are listed. Works offline: needs neither a login nor a virtual machine.
examples:
  - name: Explain the cause that a diagnosis ended with.
    text: az vm agent-explain -c N01
  - name: Explain it by its name.
    text: az vm agent-explain --cause agent-stopped
  - name: List all causes.
    text: az vm agent-explain
  - name: List the causes of scenario 2, the guest blocks the Wire Server, that can hit a Linux guest.
    text: az vm agent-explain --scenario 2 --os linux -o table
"""

helps["vm agent-replay"] = """
type: command
short-summary: Diagnose a virtual machine's agent from saved files, offline.
long-summary: >-
  Judges a serial log, a screenshot, a log of the agent or an answer of the probe as az vm agent-diagnose would, without
  Azure and without a login, and prints the same report and the same object. What the files do not hold is unknown, and
  the verdict says so.
examples:
  - name: Judge a saved serial log.
    text: |
        az vm boot-diagnostics get-boot-log -g MyResourceGroup -n MyVm > serial.log
        az vm agent-replay --serial-log serial.log
  - name: What the agent's own log tells, together with the serial log.
    text: az vm agent-replay --serial-log serial.log --agent-log waagent.log
  - name: Only how far the newest boot came, for a script.
    text: az vm agent-replay --serial-log serial.log --query serialLog.outlook -o tsv
"""
