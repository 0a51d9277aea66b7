"""The remedies of a guest that does not boot: on its console, or offline on a copy of its OS disk.

``az vm repair`` (the extension vm-repair) attaches a copy of the OS disk to a VM of its own, where a script or a person
repairs it, and swaps it in. ``linux-alar2`` is Azure Linux Auto Repair, whose actions are fstab, initrd, kernel,
grubfix, efifix, serialconsole, auditd, sudo and corrupt (https://github.com/Azure/ALAR). ``repair-button`` does all of
that in one command; Microsoft documents it for fstab, initrd, grubfix and efifix.
"""

from __future__ import annotations

from azext_vmagent.causes.known_cause import Remedy, Where

LINUX = "troubleshoot/azure/virtual-machines/linux/"
ALAR_LINK = LINUX + "repair-linux-vm-using-alar"
REPAIR_LINK = LINUX + "repair-linux-vm-using-azure-virtual-machine-repair-commands"
WINDOWS_LINK = (
    "troubleshoot/azure/virtual-machines/windows/repair-windows-vm-using-azure-virtual-machine-repair-commands"
)
CONSOLE_LINK = LINUX + "serial-console-linux"
SINGLE_USER_LINK = LINUX + "serial-console-grub-single-user-mode"
BACKUP_LINK = "azure/backup/backup-azure-arm-restore-vms"

_RIGHTS = "needs Contributor on the resource group; costs a VM while it exists"
_SWAP_BACK = "az vm update {vm} --os-disk ORIGINAL_DISK"

RESTART = Remedy(
    "restart the VM",
    "az vm restart {vm}",
    where=Where.AZ,
    effect="the guest boots again; what is wrong on the disk stays wrong",
    risk="unsaved work in the guest is lost",
    downtime="1-3 min",
)
REDEPLOY = Remedy(
    "redeploy: moves the VM to another host",
    "az vm redeploy {vm}",
    where=Where.AZ,
    effect="a fresh host and network path; the OS disk stays",
    risk="the temporary disk is lost, a dynamic address may change; a Spot VM may not get a place again",
    downtime="5-15 min",
    link=LINUX + "redeploy-to-new-node-linux",
)
RESTORE = Remedy(
    "if nothing else helps, restore the OS disk from a backup",
    where=Where.ANYWHERE,
    effect="the disk as it was then",
    risk="what was written since the backup is lost",
    downtime="an hour or more",
    link=BACKUP_LINK,
)


def on_console(what: str, effect: str = "", risk: str = "none known", link: str = CONSOLE_LINK) -> Remedy:
    """Something to type where the boot stopped."""
    return Remedy(
        f"on the serial console: {what}",
        "az serial-console connect {vm}",
        where=Where.AZ,
        effect=effect or "works without agent and network; needs root's password (root locked: the offline way below)",
        risk=risk,
        downtime="one reboot",
        link=link,
    )


def at_boot_menu(what: str) -> Remedy:
    """Something to choose or edit in GRUB's menu: needs no password, and lasts for one boot."""
    return Remedy(
        f"at the boot menu (restart the VM from the serial console, press Esc at once): {what}",
        "az serial-console connect {vm}",
        where=Where.AZ,
        effect="holds for this boot only: make it lasting once the guest is up",
        downtime="one reboot",
        link=SINGLE_USER_LINK,
    )


def button(action: str, does: str, risk: str = "") -> Remedy:
    """The whole offline repair in one command."""
    return Remedy(
        f"offline, in one command: {does}",
        f"az vm repair repair-button {{vm}} --button-command {action}",
        where=Where.AZ,
        effect="repairs a copy of the OS disk and swaps it in; the original disk is kept",
        risk="; ".join(part for part in (risk, _RIGHTS) if part),
        downtime="10-30 min",
        undo=_SWAP_BACK,
        link=ALAR_LINK,
    )


def alar(action: str, does: str, risk: str = "none known before step 3") -> tuple[Remedy, ...]:
    """The offline repair by a script, step by step."""
    run = Remedy(
        f"repair offline, 2 of 3: {does}",
        f"az vm repair run {{vm}} --run-id linux-alar2 --parameters {action} --run-on-repair",
        where=Where.AZ,
        effect="changes the copy only",
        risk=risk,
        link=ALAR_LINK,
    )
    return (_create(), run, _restore())


def by_hand(does: str, options: str = "", link: str = LINUX + "chroot-environment-linux") -> tuple[Remedy, ...]:
    """The offline repair by a person who logs in to the repair VM."""
    edit = Remedy(
        f"repair offline, 2 of 3: log in to the repair VM, mount the copy and chroot into it, then {does}",
        where=Where.ANYWHERE,
        effect="changes the copy only",
        link=link,
    )
    return (_create(options), edit, _restore())


def windows_script(run_id: str, does: str) -> tuple[Remedy, ...]:
    """The offline repair of a Windows disk by a script of Azure/repair-script-library, whose map.json lists the ids."""
    run = Remedy(
        f"repair offline, 2 of 3: {does}",
        f"az vm repair run {{vm}} --run-id {run_id} --run-on-repair",
        where=Where.AZ,
        effect="changes the copy only",
        risk="none known before step 3",
        link=WINDOWS_LINK,
    )
    return (_create(link=WINDOWS_LINK), run, _restore(WINDOWS_LINK))


NEW_INITRAMFS = button("initrd", "build the initramfs anew, with the Hyper-V drivers, and mend its entry in GRUB")


def _create(options: str = "", link: str = REPAIR_LINK) -> Remedy:
    return Remedy(
        "repair offline, 1 of 3: a repair VM with a copy of the OS disk",
        "az vm repair create {vm}" + (f" {options}" if options else ""),
        where=Where.AZ,
        effect="the original disk is not touched before step 3; asks for a user and password of the repair VM",
        risk=_RIGHTS,
        link=link,
    )


def _restore(link: str = REPAIR_LINK) -> Remedy:
    return Remedy(
        "repair offline, 3 of 3: swap the repaired disk in",
        "az vm repair restore {vm}",
        where=Where.AZ,
        effect="the VM boots from the repaired copy; the original disk is kept",
        risk="what the VM wrote to the original disk since step 1 is not on the copy",
        downtime="5-10 min",
        undo=_SWAP_BACK,
        link=link,
    )
