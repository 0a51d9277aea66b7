"""The documents are what WALinuxAgent's parsers look for, and a run command makes a new incarnation."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from lab.platform import goal_state
from lab.platform.goal_state import GoalState


def test_every_document_is_well_formed_xml_of_its_incarnation() -> None:
    state = GoalState().with_run_command(["echo '<&>'"], [], 60)
    documents = [
        goal_state.hosting_environment_config(state),
        goal_state.shared_config(state, "10.0.0.4"),
        goal_state.extensions_config(state),
    ]
    for document in documents:
        assert ElementTree.fromstring(document).get("goalStateIncarnation") == "2"
    assert ElementTree.fromstring(goal_state.goal_state(state)).findtext("Incarnation") == "2"
    assert ElementTree.fromstring(goal_state.versions()).findtext("Preferred/Version") == "2015-04-05"


def test_the_goal_state_names_the_other_documents_of_the_same_incarnation() -> None:
    configuration = ElementTree.fromstring(goal_state.goal_state(GoalState())).find(".//Configuration")
    assert configuration is not None
    for name in ("HostingEnvironmentConfig", "SharedConfig", "ExtensionsConfig"):
        address = configuration.findtext(name) or ""
        assert address.startswith("http://168.63.129.16:80/machine/")
        assert address.endswith(f"type={name[0].lower()}{name[1:]}&incarnation=1")


def test_without_a_run_command_no_extension_is_wanted() -> None:
    document = ElementTree.fromstring(goal_state.extensions_config(GoalState()))
    assert document.find("Plugins") is None
    assert document.findtext("StatusUploadBlob", "").startswith("http://168.63.129.16:80/blob/$system/lab.status?sv=")


@pytest.mark.parametrize("parameters", [[], [("who", "a&b")]])
def test_a_run_commands_script_and_parameters_reach_the_handlers_settings(parameters: list[tuple[str, str]]) -> None:
    state = GoalState().with_run_command(["echo '<&>'", 'echo "$1"'], parameters, 90)
    settings = ElementTree.fromstring(goal_state.extensions_config(state)).find("PluginSettings/Plugin/RuntimeSettings")
    assert settings is not None
    assert settings.get("seqNo") == "0"
    public = json.loads(settings.text or "")["runtimeSettings"][0]["handlerSettings"]["publicSettings"]
    assert public["script"] == ["echo '<&>'", 'echo "$1"']
    assert public["timeoutInSeconds"] == 90
    assert public.get("parameters", []) == [{"name": name, "value": value} for name, value in parameters]


def test_run_commands_count_up() -> None:
    second = GoalState().with_run_command(["true"], [], 1).with_run_command(["false"], [], 1)
    assert (second.incarnation, second.sequence) == (3, 1)
