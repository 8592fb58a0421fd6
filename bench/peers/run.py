"""Compare EdgeBERT with other ways to run the same weights: first the answers, then latency in interleaved processes.

    python -m bench.peers.run bench/peers/suites/sst2.toml --model FOLDER --bundle FOLDER --data FILE

README.md in this folder says how to make the folders.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.peers.prepared import Places
from bench.peers.rounds import Bench
from bench.peers.suite import Suite, read_suite
from bench.peers.table import markdown
from edgebert.bundle import read_manifest
from edgebert.compress.checkpoint import check_folder
from edgebert.errors import EdgeBertError, InputError
from edgebert.measure.workload import Workload, read_workload

CALIBRATION = 256


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 success, 1 something failed, 2 invalid arguments."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except EdgeBertError as error:
        sys.stderr.write(f"peers: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("peers: interrupted; files and answers are kept, the same command continues\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suite", type=Path, metavar="SUITE.toml", help="who and how often; suites lie in suites/")
    parser.add_argument("--model", type=Path, required=True, help="folder of the full-precision model (Hugging Face)")
    parser.add_argument("--bundle", type=Path, required=True, help="EdgeBERT's bundle of it, BUNDLE.stages beside it")
    parser.add_argument("--data", type=Path, required=True, help="texts with labels, columns as the bundle's data had")
    parser.add_argument("--calibration", type=Path, help="texts to calibrate static INT8 on (default: the data file)")
    parser.add_argument("--out", type=Path, default=Path("build/peers"), help="result.json and table.md go here")
    parser.add_argument("--work", type=Path, default=Path("build/peers.work"), help="converted files and answers")
    parser.add_argument("--environments", type=Path, default=Path("build/peers.env"), help="virtual environments")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these contenders beside the reference")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="compare answers on the first N rows only")
    parser.add_argument("--rounds", type=int, help="in place of the suite's")
    parser.add_argument("--samples", type=int, help="in place of the suite's")
    parser.add_argument("--check", action="store_true", help="stop when answers are compared; time nothing")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    suite = _suite(arguments)
    check_folder(arguments.model)
    manifest = read_manifest(arguments.bundle)
    if manifest.task != suite.task:
        raise InputError(f"{arguments.bundle}: a bundle for {manifest.task}; suite {suite.name} is {suite.task}")
    workload = read_workload(arguments.data, manifest)
    if arguments.limit > 0:
        workload = replace(workload, examples=workload.examples[: arguments.limit])
    source = read_workload(arguments.calibration, manifest) if arguments.calibration else workload
    folders = (arguments.model, arguments.bundle, arguments.work, arguments.environments)
    places = Places(*(folder.resolve() for folder in folders), _calibration(source, suite.seed))
    bench = Bench(suite, places, workload, manifest, arguments.out, " ".join(["peers", *sys.argv[1:]]))
    bench.compare()
    if not arguments.check:
        bench.time()
    text = markdown(bench.finish())
    (arguments.out / "table.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 1 if bench.left_out else 0


def _suite(arguments: argparse.Namespace) -> Suite:
    suite = read_suite(arguments.suite)
    names = [contender.name for contender in suite.contender]
    if unknown := sorted(set(arguments.only) - set(names)):
        raise InputError(f"--only names {unknown[0]!r}; {arguments.suite} has {', '.join(names)}")
    changed = {name: getattr(arguments, name) for name in ("rounds", "samples") if getattr(arguments, name) is not None}
    for name, least in (("rounds", 2), ("samples", 3)):
        if changed.get(name, least) < least:
            raise InputError(f"--{name} is {changed[name]}; give {least} or more")
    reference = suite.contender[0]
    kept = tuple(
        each for each in suite.contender if not arguments.only or each is reference or each.name in arguments.only
    )
    return replace(suite, contender=kept, **changed)


def _calibration(workload: Workload, seed: int) -> list[str]:
    """Draw a sample of texts from a seed."""
    texts = [text for example in workload.examples for text in (example.text, example.text_pair) if text is not None]
    return random.Random(seed).sample(texts, min(CALIBRATION, len(texts)))


if __name__ == "__main__":
    sys.exit(main())
