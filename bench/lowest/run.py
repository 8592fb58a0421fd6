"""Test the lowest versions that pyproject.toml allows: install them in fresh environments, export, predict, run tests.

    python3.11 bench/lowest/run.py                         # both environments with the lowest versions
    python3.11 bench/lowest/run.py --set openvino==2026.2  # the same with another version of one package
    python3.11 bench/lowest/run.py --only device --bundles DIR --keep
    python3.11 bench/lowest/run.py --list device           # print the tests that need only the device half

1. "export": torch has the version of --torch. All other packages of the base and of the extras `openvino`, `export`,
   `nncf`, `neural-compressor` and `report` have their lowest version. exports.py makes a bundle of each kind from a
   tiny seeded model, and a few tests run.
2. "device": only the base and the extra `openvino`, at their lowest versions. answers.py opens the bundles and compares
   the answers with those of step 1. Then the tests run that need only the device half.

Needs Python 3.11, pip, about 3 GB in a temporary folder, and 10 minutes on two cores. Exit code 0 if everything passes,
1 if something fails, 2 if the lowest versions cannot be installed together.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from edgebert.versions import is_older, parse_requirement  # noqa: E402

EXTRAS = {"export": ("openvino", "export", "nncf", "neural-compressor", "report"), "device": ("openvino",)}
TESTS = {
    "export": ("tests/exporters/quantize", "tests/exporters/test_attention.py",
               "tests/exporters/test_read_by_others.py"),
    "device": ("tests/runtime/test_encode.py", "tests/runtime/test_spans.py", "tests/runtime/test_words.py",
               *(f"tests/tasks/{name}/test_predict.py" for name in (
                   "fill_mask", "intent_slots", "question_answering", "regression", "rerank",
                   "similarity", "token_classification")),
               "tests/tasks/question_answering/test_spec.py",
               *(f"tests/data/test_{name}.py" for name in (
                   "conll", "delimiters", "empty", "examples", "slots", "squad", "tags")),
               *(f"tests/metrics/test_{name}.py" for name in ("by_label", "entities", "ranking", "scores")),
               "tests/test_settings.py", "tests/test_target.py"),
}  # fmt: skip
PYTEST = ("pytest", "hypothesis")
# Without the working tree on the path (-P and pythonpath), the tests use the installed package.
PYTEST_OPTIONS = ("-q", "-p", "no:cacheprovider", "-o", "pythonpath=tests")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and run both environments in a temporary folder."""
    options = parser().parse_args(arguments)
    if options.list:
        print("\n".join(TESTS[options.list]))
        return 0
    folder = Path(tempfile.mkdtemp(prefix="edgebert-lowest-"))
    bundles = Path(options.bundles or folder / "bundles").resolve()
    try:
        source = copy_source(folder / "source")
        for kind in EXTRAS if options.only is None else (options.only,):
            code = run_environment(kind, folder / kind, source, bundles, options)
            if code:
                return code
        return 0
    finally:
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--only", choices=list(EXTRAS), help="run one environment; device alone needs --bundles")
    found.add_argument("--set", action="append", default=[], metavar="NAME==VERSION", help="a version off its floor")
    found.add_argument("--torch", default="2.13.0", help="the torch to run with (default: %(default)s)")
    found.add_argument("--bundles", help="where exports.py leaves the bundles, and answers.py finds them")
    found.add_argument("--no-tests", action="store_true", help="exports and answers alone")
    found.add_argument("--list", choices=list(TESTS), help="print the test files of one environment, and end")
    found.add_argument("--keep", action="store_true", help="keep the temporary folder")
    return found


def copy_source(to: Path) -> Path:
    """Copy the sources of the wheel, so that the build leaves no files in the working tree."""
    for name in ("edgebert", "profiles"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, to / name)
    return to


def lowest(extras: Sequence[str]) -> dict[str, str]:
    """Find the lowest allowed version of every direct dependency; if extras differ, the highest of these versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    floors: dict[str, str] = {}
    for line in lines:
        # Only pip needs the marker and the brackets of "neural-compressor[pt]".
        name = line.partition(";")[0].partition(">")[0].partition("<")[0].strip()
        floor = parse_requirement(line).floor
        if name not in floors or (floor and is_older(floors[name], floor)):
            floors[name] = floor
    return floors


def run_environment(kind: str, folder: Path, source: Path, bundles: Path, options: argparse.Namespace) -> int:
    """Install one environment and run its script and its tests."""
    python = str(folder / "bin" / "python")
    versions = lowest(EXTRAS[kind])
    changed = (pair.partition("==") for pair in options.set)
    versions |= {name: version for name, _, version in changed if name in versions}
    if kind == "export":
        versions["torch"] = options.torch
    try:
        install(folder, python, source, versions)
    except subprocess.CalledProcessError:
        print(f"{kind}: these versions cannot be installed together", flush=True)
        return 2
    script = {"export": "exports.py", "device": "answers.py"}[kind]
    print(f"== {kind}: {script}", flush=True)
    codes = [call([python, str(HERE / script), str(bundles)])]
    if not options.no_tests:
        print(f"== {kind}: tests", flush=True)
        codes.append(call([python, "-P", "-m", "pytest", *PYTEST_OPTIONS, *TESTS[kind]]))
    print(f"{kind}: {'holds' if not any(codes) else 'fails'}", flush=True)
    return int(any(codes))


def install(folder: Path, python: str, source: Path, versions: dict[str, str]) -> None:
    """Make the environment: exact versions of every direct dependency, then EdgeBERT without its dependencies."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if "torch" in versions:  # first and separately: a wider range would install a CUDA build
        subprocess.run([*pip, f"torch=={versions['torch']}"], check=True)
    exact = [f"{name}=={version}" if version else name for name, version in versions.items()]
    print(f"== {folder.name}: {' '.join(exact)}", flush=True)
    subprocess.run([*pip, *exact, *PYTEST], check=True)
    subprocess.run([*pip, "--no-deps", str(source)], check=True)


def call(command: list[str]) -> int:
    """Run a command in the repository with one thread and without model hubs. Returns its exit code."""
    quiet = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=ROOT, env=environment | quiet, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
