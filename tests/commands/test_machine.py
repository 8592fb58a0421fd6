"""`edgebert profiles` and `edgebert doctor`: what hardware is known, and what this machine has."""

import json
from importlib.metadata import version

import pytest
from command_line import Run, refused

from edgebert.cli import main
from edgebert.errors import SettingsError


def test_profiles_lists_them_and_shows_one_with_its_sources(run: Run) -> None:
    code, listed, _ = run("profiles")
    assert code == 0
    names = [line.split()[0] for line in listed.splitlines()[2:]]
    assert [target["name"] for target in json.loads(run("profiles", "--json")[1])] == names
    (target,) = json.loads(run("profiles", "raspberry-pi-5", "--json")[1])
    page = run("profiles", "raspberry-pi-5")[1]
    assert all(source in page for source in target["sources"].values())
    assert "unknown profile 'pi'" in refused(run("profiles", "pi"))
    with pytest.raises(SettingsError):
        main(["profiles", "pi", "--debug"])


def test_doctor_tells_versions_and_fitting_profiles(run: Run) -> None:
    code, out, err = run("doctor", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert {row["package"]: row["version"] for row in document["packages"]}["numpy"] == version("numpy")
    assert document["environment"]["cores"] >= 1
    page = run("doctor")[1]
    assert all(name in page for name in ("numpy", "onnxruntime", *document["profiles"]))
