"""Who may import whom (docs/architecture.md), what every `az vm` loads, and that product and laboratory do not mix."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ROOT / "azext_vmagent"

#: package or module -> what of the product it may import besides itself
MAY_IMPORT = {
    "model": set(),
    "facts": {"model"},
    "causes": {"model", "facts", "channels.choice"},
    "verdict": {"model", "facts", "causes", "channels.choice"},
    "channels.choice": {"model", "facts"},
    "repair": {"model", "facts", "causes", "verdict", "flow", "guest"},
    "report": {"model", "facts", "causes", "verdict", "flow", "repair"},
    "guest": {"facts"},
    "channels": {"model", "facts", "evidence"},
    "evidence": {"model", "facts", "channels"},
}
PURE = ("model", "facts", "causes", "verdict", "repair", "report", "channels.choice")
IO_MODULES = {
    "socket",
    "subprocess",
    "requests",
    "azure",
    "knack",
    "threading",
    "pathlib",
    "os",
    "urllib",
    "http",
    "ssl",
    "shutil",
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module.startswith("azext_vmagent"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules() -> list[tuple[str, Path]]:
    return [
        (".".join(path.relative_to(PRODUCT).with_suffix("").parts), path)
        for path in sorted(PRODUCT.rglob("*.py"))
        if path.name != "__init__.py" and "tests" not in path.parts
    ]


def layer(name: str) -> str | None:
    if name in MAY_IMPORT:
        return name
    return name.split(".", maxsplit=1)[0] if name.split(".", maxsplit=1)[0] in MAY_IMPORT else None


@pytest.mark.parametrize(("name", "path"), modules(), ids=[name for name, _ in modules()])
def test_a_module_imports_only_what_its_layer_may(name, path):
    mine = layer(name)
    if mine is None:
        return
    allowed = MAY_IMPORT[mine] | {mine}
    for imported in imports(path):
        if not imported.startswith("azext_vmagent."):
            continue
        target = imported.removeprefix("azext_vmagent.")
        assert any(target == one or target.startswith(one + ".") or one.startswith(target + ".") for one in allowed), (
            imported
        )


@pytest.mark.parametrize(
    ("name", "path"),
    [m for m in modules() if (layer(m[0]) in PURE)],
    ids=lambda v: str(v) if isinstance(v, str) else "",
)
def test_pure_stages_do_no_io(name, path):
    roots = {imported.split(".")[0] for imported in imports(path)}
    assert not roots & IO_MODULES


def test_what_every_az_vm_loads_is_light():
    code = (
        "import sys, azure.cli.core; before = set(sys.modules)\n"
        "import azext_vmagent, azext_vmagent._help, azext_vmagent.commands\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert set(loaded) <= {"azext_vmagent", "azext_vmagent._help", "azext_vmagent.commands", "knack.help_files"}


def test_the_product_knows_nothing_of_the_laboratory():
    forbidden = re.compile(r"\blab\b|vmagent-lab|VMAGENT_LAB|127\.0\.\d+\.4|50342|IDENTITY_ENDPOINT", re.IGNORECASE)
    for path in sorted(PRODUCT.rglob("*")):
        if path.suffix in (".py", ".sh", ".ps1", ".json") and "tests" not in path.parts:
            assert not forbidden.search(path.read_text()), path


def test_the_laboratory_never_imports_the_product():
    for path in sorted((ROOT / "lab").rglob("*.py")):
        assert not any(name.split(".")[0] == "azext_vmagent" for name in imports(path)), path


def test_the_wheel_holds_the_product_and_nothing_else():
    built = sorted((ROOT / "build" / "dist").glob("*.whl"))
    if not built:
        pytest.skip("no wheel here; make wheel builds it")
    import zipfile

    names = zipfile.ZipFile(built[-1]).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"azext_vmagent"}
    assert {"azext_vmagent/guest/probe.sh", "azext_vmagent/guest/probe.ps1"} <= set(names)
    assert "azext_vmagent/azext_metadata.json" in names
