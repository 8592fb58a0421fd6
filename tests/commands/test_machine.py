"""`edgebert profiles` and `edgebert doctor`: known hardware, and the features of this machine."""

import json
from importlib.metadata import version

import pytest
from command_line import Run, refused
from this_machine import pretend

from edgebert.cli import main
from edgebert.errors import SettingsError


def test_profiles_lists_them_and_shows_one_with_its_sources(run: Run) -> None:
    code, listed, _ = run("profiles")
    assert code == 0
    names = [line.split()[0] for line in listed.partition("\n\n")[0].splitlines()[2:]]
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


def test_the_profile_for_this_machine_is_marked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "avx2")
    listed = run("profiles")[1]
    assert [line.split()[0] for line in listed.splitlines() if " * " in line] == ["x86-avx2"]
    assert listed.splitlines()[-1].startswith("* fits this machine (Some CPU, AVX2 without VNNI): export uses it")
    fits = {row["name"]: row["fits_this_machine"] for row in json.loads(run("profiles", "--json")[1])}
    assert [name for name, here in fits.items() if here] == ["x86-avx2"]
    page = run("doctor")[1].splitlines()
    assert "int8       AVX2 without VNNI" in page
    assert "profile that export uses here: x86-avx2" in page
    found = json.loads(run("doctor", "--json")[1])
    assert (found["environment"]["int8"], found["profile"]) == ("avx2", "x86-avx2")


def test_a_machine_without_a_profile_has_none_marked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, machine="riscv64")
    code, listed, _ = run("profiles")
    assert (code, "*" in listed) == (0, False)
    assert "profile that export uses here: none; name one with --profile" in run("doctor")[1].splitlines()
