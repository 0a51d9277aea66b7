"""Let the boot go on without one mount of /etc/fstab."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action, Risk

KIND = "fstab-line-harmless"


def action(arguments: tuple[str, ...], facts: Facts) -> Action:
    """Arguments: NUMBER TEXT MOUNT, the text as its fields with one blank between them."""
    number, text, mount = arguments
    lines = facts.stopped.lines if facts.stopped is not None else ()
    why = next((f" ({line.why})" for line in lines if line.number == int(number)), "")
    return Action(
        KIND,
        f"add nofail to line {number} of /etc/fstab{why}: {text}",
        f"the boot does not wait for {mount} any more; what lives there is missing until its disk can be mounted",
        Risk.NONE,
        "none",
        1,
        "the file is kept; --undo makes the line what it was",
        f"local-fs.target does not require {mount} any more",
        arguments,
    )
