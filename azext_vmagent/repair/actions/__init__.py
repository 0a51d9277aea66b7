"""The actions, one small file for each kind: what it changes, risks, needs to be undone, and what proves it.

A file that names its ``KIND`` is an action of the guest's, and found by being here. What is done in the guest is in
``guest/repair*.sh``; ``azure.py`` has what Azure itself carries out.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module

from azext_vmagent.causes.cures import Step
from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import Action

_MODULES = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
_BY_KIND: dict[str, Callable[[tuple[str, ...], Facts], Action]] = {
    one.KIND: one.action for one in _MODULES if hasattr(one, "KIND")
}
KINDS = frozenset(_BY_KIND)


def guest_action(step: Step, facts: Facts) -> Action:
    """The action that carries out one step of a cure."""
    return _BY_KIND[step.kind](step.arguments, facts)
