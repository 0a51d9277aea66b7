"""``python -m lab``: put a laboratory up, break the guest, look, and take it down again."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import az, latency
from lab.control import ask
from lab.daemon import DEFAULT_RECORDING, FIRST
from lab.guests.base import LabError
from lab.home import Home, cache, find
from lab.injection import KINDS

_LONGEST_START = 900.0
_LONGEST_RENEWAL = 120.0
_CHECKOUT = Path(__file__).parent.parent
_RECORDINGS = DEFAULT_RECORDING.parent


def up(home: Home, options: argparse.Namespace) -> int:
    """Start the daemon and wait until the guest is there (a real one until its agent reports Ready)."""
    if home.pid.exists() and _is_daemon(int(home.pid.read_text())):
        raise LabError(f"a laboratory is up in {home.state} already; take it down first: python -m lab down")
    home.control.unlink(missing_ok=True)
    home.state.mkdir(parents=True, exist_ok=True)
    real = options.guest == "real"
    command = [sys.executable, "-m", "lab.daemon", "--state", str(home.state)]
    command += ["--real"] if real else []
    for name, recording in _recorded(options.vm, real):
        command += ["--vm", name, str(recording)]
    for name in ("not_ready_after", "metrics_lag", "latency"):
        if getattr(options, name) is not None:
            command += ["--setting", name, str(getattr(options, name))]
    with home.log.open("ab") as log:
        process = subprocess.Popen(
            command, cwd=_CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that a broken-off start ends below
    try:
        _wait(home, process, real)
    except BaseException:
        process.terminate()
        process.wait(60)
        raise
    return status(home, argparse.Namespace(json=False))


def _recorded(given: list[str], real: bool) -> list[tuple[str, Path]]:
    found: dict[str, Path] = {} if real or given else {FIRST: DEFAULT_RECORDING}
    for one in given:
        name, equals, recording = one.partition("=")
        path = Path(recording).absolute()
        if not equals or not path.is_dir():
            raise LabError(f"--vm {one}: this is NAME=RECORDING with RECORDING a folder that `record` wrote")
        if real and name == FIRST:
            raise LabError(f"{FIRST} is the real guest; give the recorded one another name")
        found[name] = path
    return list(found.items())


def _wait(home: Home, process: subprocess.Popen[bytes], real: bool) -> None:
    end = time.monotonic() + _LONGEST_START
    while time.monotonic() < end:
        if process.poll() is not None:
            raise LabError(f"the laboratory did not start:\n{_tail(home.log)}")
        if home.pid.exists():  # written once the control socket answers
            seen = ask(home.control, "status")
            if seen["phase"] == "failed":
                raise LabError(f"the laboratory did not start: {seen['error']}\n{_tail(home.log)}")
            if seen["phase"] == "up" and (not real or seen["vms"][0]["agent"] == "Ready"):
                return
        time.sleep(0.1)
    raise LabError(f"not up after {_LONGEST_START:.0f} s; see {home.log}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""


def down(home: Home, _: argparse.Namespace) -> int:
    """Everything gone, the state folder included."""
    pid = int(home.pid.read_text()) if home.pid.exists() else None
    try:
        ask(home.control, "down")
    except LabError:
        if pid is not None and _is_daemon(pid):
            os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 60
    while pid is not None and _is_daemon(pid) and time.monotonic() < end:
        time.sleep(0.05)
    if pid is not None and _is_daemon(pid):
        raise LabError(f"the daemon (process {pid}) does not end; see {home.log}")
    shutil.rmtree(home.state, ignore_errors=True)
    return 0


def _is_daemon(pid: int) -> bool:
    try:
        return b"lab.daemon" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def status(home: Home, options: argparse.Namespace) -> int:
    """Print where everything stands."""
    seen = ask(home.control, "status")
    if options.json:
        print(json.dumps(seen, indent=2))
        return 0
    where = f" (network namespace {seen['namespace']})" if seen["namespace"] else ""
    print(f"stand-in Azure   {seen['endpoint']}{where}")
    print("settings         " + " ".join(f"{name}={value}" for name, value in seen["settings"].items()))
    for text in seen["injections"]:
        print(f"injected         {text}")
    for vm in seen["vms"]:
        print(f"{vm['group']}/{vm['name']:<12} {_line(vm)}")
    return 0


def _line(vm: dict[str, Any]) -> str:
    agent = f"agent {vm['agent']} ({vm['agentVersion']})" if vm["agent"] else "no agent status"
    age = vm["secondsSinceUpload"]
    upload = "nothing uploaded yet" if age is None else f"last upload {age:.0f} s ago"
    address = f"{vm['publicAddress']}:{vm['sshPort']} (private {vm['privateAddress']})"
    return f"{vm['kind']}, {vm['power']}, {agent}, {upload}, fault {vm['fault'] or 'none'}, {address}"


def fault(home: Home, options: argparse.Namespace) -> int:
    """Break the guest."""
    ask(home.control, "fault", name=options.name, vm=options.vm)
    return 0


def heal(home: Home, options: argparse.Namespace) -> int:
    """Undo the fault."""
    healed = ask(home.control, "heal", vm=options.vm)
    print(f"healed {healed}" if healed else "there was no fault")
    return 0


def renew(home: Home, options: argparse.Namespace) -> int:
    """Take the guest back to its saved Ready state and wait until its agent reports."""
    ask(home.control, "renew", vm=options.vm)
    end = time.monotonic() + _LONGEST_RENEWAL
    while time.monotonic() < end:
        if any(vm["name"] == (options.vm or FIRST) and vm["agent"] == "Ready" for vm in _vms(home)):
            return 0
        time.sleep(0.2)
    raise LabError(f"its agent has not reported for {_LONGEST_RENEWAL:.0f} s")


def _vms(home: Home) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(home.control, "status")["vms"]
    return found


def list_faults(home: Home, _: argparse.Namespace) -> int:
    """Print the faults there are."""
    from lab import faults

    for name in faults.names():
        print(f"{name:<24} {faults.load(name).SUMMARY}")
    return 0


def shell_in_guest(home: Home, options: argparse.Namespace) -> int:
    """Run a command as root in the guest."""
    code, output = ask(
        home.control, "shell", command=" ".join(options.arguments), vm=options.vm, timeout=options.timeout
    )
    sys.stdout.write(output)
    return int(code)


def _prepared(home: Home, login: str) -> tuple[az.Endpoints, dict[str, str]]:
    told = ask(home.control, "endpoints", login=login)
    endpoints = az.Endpoints(**{**told, "ca": Path(told["ca"])})
    return endpoints, az.prepare(endpoints, login, home.az(login))


def run_az(home: Home, options: argparse.Namespace) -> int:
    """The real `az`, with everything after the word `az` as it was given."""
    endpoints, variables = _prepared(home, options.login)
    local = options.arguments[:1] == ["extension"]  # talks to package indexes, which a guest's network does not reach
    namespace = None if local else endpoints.namespace
    command = az.inside(namespace, [az.executable(), *options.arguments])
    if sys.version_info < (3, 11):
        os.chdir(home.state)  # PYTHONSAFEPATH is not known yet, see lab.az
    os.execvpe(command[0], command, variables)


def run_shell(home: Home, options: argparse.Namespace) -> int:
    """A shell in which plain `az` works."""
    endpoints, variables = _prepared(home, options.login)
    variables["PATH"] = f"{Path(az.executable()).parent}{os.pathsep}{variables.get('PATH', os.defpath)}"
    command = az.inside(endpoints.namespace, [os.environ.get("SHELL", "/bin/sh"), *options.arguments])
    os.execvpe(command[0], command, variables)


def print_env(home: Home, options: argparse.Namespace) -> int:
    """Lines for eval; az must then run in the printed namespace, if there is one."""
    endpoints, variables = _prepared(home, options.login)
    folder = home.az(options.login)
    wanted = az.environment(endpoints, options.login, folder, Path(variables["REQUESTS_CA_BUNDLE"]))
    wanted["PATH"] = variables["PATH"]
    if endpoints.namespace:
        print(f"# run az inside the guest's network: ip netns exec {endpoints.namespace} az ...")
    print(az.exports(wanted))
    return 0


def journal(home: Home, options: argparse.Namespace) -> int:
    """Print what was served, or forget it."""
    if options.clear:
        ask(home.control, "clear_journal")
        return 0
    for entry in ask(home.control, "journal"):
        print(json.dumps(entry))
    return 0


def inject(home: Home, options: argparse.Namespace) -> int:
    """Make the platform fail."""
    for text in ask(home.control, "inject", specifications=options.specifications, clear=options.clear):
        print(text)
    return 0


def change_setting(home: Home, options: argparse.Namespace) -> int:
    """Change how the platform behaves."""
    for one in options.settings:
        name, _, value = one.partition("=")
        ask(home.control, "set", name=name.replace("-", "_"), value=value)
    return 0


def record(home: Home, options: argparse.Namespace) -> int:
    """Write a recording of the real guest as it is now."""
    target = _RECORDINGS / options.name if "/" not in options.name else Path(options.name).absolute()
    ask(home.control, "record", target=str(target), probe=options.probe.read_text(), vm=None)
    print(target)
    return 0


def record_all(_: Home, options: argparse.Namespace) -> int:
    """Record a fresh real guest healthy and in each of the article's faults."""
    from lab.record_all import NAMES, record_all

    record_all(options.probe.read_text(), cache(), options.names or NAMES)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, run: Callable[[Home, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(run=run)
        return one

    one = add("up", up, "start: VM vm1 in group lab")
    one.add_argument("--guest", choices=("real", "recorded"), default="real")
    one.add_argument(
        "--vm",
        action="append",
        default=[],
        metavar="NAME=RECORDING",
        help="a recorded VM, beside the real one or instead of vm1 with the healthy recording",
    )
    one.add_argument("--not-ready-after", type=float, metavar="S", help="age of an upload that counts as silence (30)")
    one.add_argument("--metrics-lag", type=float, metavar="S", help="a minute has metrics this long after its end (5)")
    one.add_argument("--latency", choices=latency.MODES)
    one = add("fault", fault, "break the guest")
    one.add_argument("name")
    one.add_argument("--vm")
    add("heal", heal, "undo the fault").add_argument("--vm")
    add("renew", renew, "the real guest as it was at first: Ready, in seconds, whatever happened").add_argument("--vm")
    add("faults", list_faults, "list the faults there are")
    add("status", status, "where everything stands").add_argument("--json", action="store_true")
    one = add("sh", shell_in_guest, "run a command as root in the guest, through a side door no fault cuts")
    one.add_argument("--vm")
    one.add_argument("--timeout", type=float, default=60)
    for name, run, text in (
        ("az", run_az, "run az against the stand-in"),
        ("shell", run_shell, "a shell in which az works"),
        ("env", print_env, "print the environment in which az works, for eval"),
    ):
        one = add(name, run, text)
        one.add_argument("--login", choices=az.LOGINS, default=az.LOGINS[0])
    add("journal", journal, "what the stand-in served, as JSON lines").add_argument("--clear", action="store_true")
    kinds = "; ".join(f"{kind}: {text}" for kind, text in KINDS.items())
    one = add("inject", inject, f"faults of the platform: KIND[:ARGUMENT][*COUNT]@[METHOD ]REGEX. {kinds}")
    one.add_argument("specifications", nargs="*", metavar="SPEC")
    one.add_argument("--clear", action="store_true", help="first forget those in force")
    one = add("set", change_setting, "change a setting: not_ready_after, metrics_lag, latency, …")
    one.add_argument("settings", nargs="+", metavar="KEY=VALUE")
    one = add("record", record, "write what the real guest answers now into lab/recordings/NAME (or a path)")
    one.add_argument("name")
    one.add_argument("--probe", type=Path, required=True, metavar="FILE", help="the guest probe to ask it with")
    one = add("record-all", record_all, "record a fresh real guest healthy and in each fault of the article")
    one.add_argument("names", nargs="*", metavar="NAME")
    one.add_argument("--probe", type=Path, required=True, metavar="FILE")
    add("down", down, "everything gone")
    return parser


_PASS_ON = {"az": ("--login",), "shell": ("--login",), "sh": ("--vm", "--timeout")}


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Our own arguments, and those that go on untouched to `az`, a shell or the guest.

    >>> split(["az", "--login", "cloud-shell", "--version"])
    (['az', '--login', 'cloud-shell'], ['--version'])
    """
    if not arguments or arguments[0] not in _PASS_ON or arguments[1:] in (["-h"], ["--help"]):
        return arguments, []
    end = 1
    while end < len(arguments) and arguments[end].partition("=")[0] in _PASS_ON[arguments[0]]:
        end += 1 if "=" in arguments[end] else 2
    return arguments[:end], arguments[end:]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    own, passed = split(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(own, argparse.Namespace(arguments=passed))
    try:
        return int(options.run(find(), options))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
