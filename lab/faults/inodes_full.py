"""The file system of the agent's folder has bytes free, and no inode."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root, restart_agent

SUMMARY = "the file system of /var/lib/waagent has no inodes left"

_FOLDER = "/var/lib/waagent"


def inject(vm: LabVm) -> None:
    """Give the folder a small file system and fill it with event files, as WALinuxAgent#3080 did with a whole disk."""
    as_root(vm, f"systemctl stop {AGENT}; cp -a {_FOLDER} {_FOLDER}.away", 90)
    as_root(vm, f"mount -t tmpfs -o nr_inodes=300,mode=700 waagent {_FOLDER}; cp -a {_FOLDER}.away/. {_FOLDER}/")
    as_root(vm, f"cd {_FOLDER}/events; i=0; while : >$i.tld; do i=$((i + 1)); done; [ $i -gt 9 ]")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Take the file system away; the folder below it was not touched."""
    as_root(vm, f"systemctl stop {AGENT}; umount -l {_FOLDER}; rm -rf {_FOLDER}.away", 90)
    restart_agent(vm)
