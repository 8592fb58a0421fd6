"""Workflow files and commit hooks are valid, and the commands in them exist."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
yaml = pytest.importorskip("yaml")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(workflow: dict[str, Any]) -> list[str]:
    return [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    assert [path.stem for path in WORKFLOWS] == ["device", "linux", "versions", "wheel"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.stem))
def test_a_workflow_calls_what_exists(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    called = [name for run in steps(workflow) for name in re.findall(r"(?:\.ci|bench)/[\w./-]+", run)]
    assert all((ROOT / name).is_file() for name in called)
    assert called or "make setup" in steps(workflow)
    assert all(job["timeout-minutes"] and job["runs-on"] for job in workflow["jobs"].values())


def test_the_newest_versions_come_with_every_extra_of_make_setup() -> None:
    extras = re.findall(r"\[([\w,-]+)\]'", (ROOT / "Makefile").read_text())[0]
    assert f"[{extras}]" in (ROOT / ".github" / "workflows" / "versions.yml").read_text()


def test_the_device_tests_that_are_listed_exist() -> None:
    command = [sys.executable, "bench/lowest/run.py", "--list", "device"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "tests/runtime/test_encode.py" in listed
    assert all((ROOT / name).exists() for name in listed)


def test_the_hooks_are_the_tools_of_make_lint_and_make_typecheck() -> None:
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    makefile = (ROOT / "Makefile").read_text()
    entries = [hook["entry"] for hook in repo["hooks"]]
    assert [entry.split()[0] for entry in entries] == [
        f".venv/bin/{tool}" for tool in ("ruff", "ruff", "mypy", "lint-imports")
    ]
    assert all(
        entry.replace(".venv/bin", "$(BIN)") in makefile.replace(" edgebert tests bench docs examples", "")
        for entry in entries
        if "format" not in entry
    )
