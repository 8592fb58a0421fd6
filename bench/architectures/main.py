"""The command line of the comparison."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bench.architectures import comparison, models
from bench.architectures.jobs import JOBS
from bench.architectures.plan import RUNTIMES
from edgebert.bundle import check_writable
from edgebert.errors import EdgeBertError, InputError, MissingDependencyError
from edgebert.measure.process import run_process
from edgebert.measure.progress import Terminal

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("torch", "transformers", "onnxscript", "onnx", "onnxruntime")
MOST = 1000


class Parser(argparse.ArgumentParser):
    """A parser whose error message is a single line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; --help lists what can be given")


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare, measure and print the tables. Returns 0 on success, 1 if the run failed, 2 for invalid arguments."""
    given = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in given
    terminal = Terminal()
    try:
        return _run(_parser().parse_args(given), given, terminal)
    except EdgeBertError as error:
        if debug:
            raise
        message, code = str(error), error.exit_code
    except KeyboardInterrupt:
        message, code = "interrupted; what was prepared is kept, the same command continues it", 1
    except Exception as error:
        if debug:
            raise
        first = (str(error).strip().splitlines() or [""])[0]
        message, code = f"failed: {type(error).__name__}: {first} (--debug shows where)", 1
    terminal.say(f"architectures: {message}")
    return code


def _run(arguments: argparse.Namespace, given: list[str], terminal: Terminal) -> int:
    settings = settings_of(arguments)
    work = Path(arguments.work) / f"{'tiny' if settings.tiny else 'full'}-{settings.seed}"
    out = Path(arguments.out)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(f"{', '.join(missing)} not installed; pip install edgebert[export]")
    check_writable(work.resolve().parent)
    check_writable(out)
    prepared = [_prepare(name, settings, work.resolve(), terminal) for name in settings.architectures]
    if arguments.prepare:
        return 0
    command = "bench/architectures/run " + shlex.join(given)
    run = comparison.Comparison(settings, prepared, work.resolve(), out, command, _child)
    document = run.run(terminal)
    terminal.say(f"result: {out / 'architectures.json'}")
    sys.stdout.write(comparison.tables.markdown(document))
    return 0


def settings_of(arguments: argparse.Namespace) -> comparison.Settings:
    """Make the settings from the arguments.

    Raises:
        InputError: A number is out of range, or the encoder is missing, to which all others are compared.
    """
    least = {"rounds": 1, "memory_rounds": 0, "samples": 1, "slow_samples": 1, "warmup": 0, "seed": 0}
    for name, low in least.items():
        value = getattr(arguments, name)
        if not low <= value <= MOST:
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} {value} is out of range; give {low} to {MOST}")
    if models.ENCODER not in arguments.architectures:
        raise InputError("--architectures leaves out the encoder, which the others are compared with; add encoder")
    chosen = {
        "architectures": tuple(each for each in models.ARCHITECTURES if each in arguments.architectures),
        "runtimes": tuple(each for each in RUNTIMES if each in arguments.runtimes),
        "jobs": tuple(job.name for job in JOBS if job.name in arguments.jobs),
    }
    return comparison.Settings(**chosen, **{name: getattr(arguments, name) for name in least}, tiny=arguments.tiny)


def _prepare(architecture: str, settings: comparison.Settings, work: Path, terminal: Terminal) -> dict[str, Any]:
    terminal.say(f"preparing {architecture}: {models.MODELS[architecture]} (minutes, unless it is kept from before)")
    job = {"scenario": f"preparing {architecture}", "architecture": architecture, "folder": str(work / architecture)}
    job |= {"tiny": settings.tiny, "seed": settings.seed}
    command = [sys.executable, "-m", "bench.architectures.prepare"]
    found = run_process(command, job, _variables())
    terminal.say(f"  {found['parameters']['all'] / 1e6:.1f} million parameters, graphs equal to PyTorch's")
    return found


def _child(job: dict[str, Any]) -> dict[str, Any]:
    return run_process([sys.executable, "-m", "bench.architectures.child"], job, _variables())


def _variables() -> dict[str, str]:
    """Environment variables of a child: it finds these scripts, uses no network, and libraries use one thread."""
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    return {**os.environ, "PYTHONPATH": path, **quiet}


def _parser() -> Parser:
    default = comparison.Settings()
    parser = Parser(
        prog="bench/architectures/run",
        description="Measure an encoder, a decoder and encoder-decoders on the same understanding jobs.",
        epilog="Exit codes: 0 done, 1 the run failed or was interrupted, 2 wrong use.",
    )
    results = "folder of architectures.json, architectures.md and raw/"
    parser.add_argument("--out", default="build/architectures/result", help=results)
    parser.add_argument("--work", default="build/architectures/work", help="folder of checkpoints and graphs: 6 GB")
    parser.add_argument("--prepare", action="store_true", help="build, export and check, and measure nothing")
    parser.add_argument("--tiny", action="store_true", help="small models and short texts, to try the scripts")
    for name, all_ in (("architectures", models.ARCHITECTURES), ("runtimes", RUNTIMES), ("jobs", default.jobs)):
        parser.add_argument(f"--{name}", nargs="+", choices=all_, default=all_, help=f"default: {' '.join(all_)}")
    for name, what in (
        ("rounds", "fresh processes of a case whose latency is taken"),
        ("memory-rounds", "fresh processes of a case whose memory is read"),
        ("samples", "timed answers of a process"),
        ("slow-samples", "timed answers of a process that generates many tokens"),
        ("warmup", "answers before those, of three label tokens at most"),
        ("seed", "of weights, texts and order"),
    ):
        value = getattr(default, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"{what} (default: {value})")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser
