"""Read arguments, call one function, write its answer to stdout and everything else to stderr."""

from __future__ import annotations

import argparse
import errno
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args

from edgebert import __version__
from edgebert.arguments import Parser, blank, unusable
from edgebert.errors import EdgeBertError, FallbackWarning, InputError, SaturationWarning
from edgebert.escape import escaped, shortened
from edgebert.runtimes import RUNTIMES, AskedPrecision
from edgebert.streams import end, fill_closed, flush, logged, say

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

PRECISIONS = "default: int8; int8-weights is small as int8, computes as fp32"
# What an interrupted command leaves behind.
KEPT = {
    "export": "; finished work is kept, the same command continues it",
    "bench": "; results so far are kept in the result folder",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 when done, 1 when the run failed, 2 for wrong use or bad input."""
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    finally:
        end()


def _main(words: list[str]) -> int:
    wrong = "" if fill_closed() else "standard output is closed; send it to a file or to /dev/null"
    if wrong := wrong or unusable(words):
        say(wrong)
        return 2
    arguments = argparse.Namespace(command=None, debug=False)
    try:
        arguments = _arguments(words)
        if arguments.command is None:
            return 2
        with logged(), _warnings_in_a_line():
            code = _run(arguments)
        flush()
        return code
    except EdgeBertError as error:
        if arguments.debug:
            raise
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say(f"interrupted{KEPT.get(arguments.command, '')}")
        return 1
    except BrokenPipeError:
        return 0 if arguments.command == "predict" else 1
    except Exception as error:
        if arguments.debug:
            raise
        return _failed(error)


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = _parser()
    try:
        arguments, rest = parser.parse_known_args(words)
    except SystemExit:  # after --help, too, somebody waits for the answer
        flush()
        raise
    if rest and (any(word.startswith("-") for word in rest) or not _take_rest(arguments, rest)):
        command = f" {arguments.command}" if arguments.command else ""
        raise InputError(f"unrecognized arguments: {shortened(' '.join(rest))}; see edgebert{command} --help")
    if empty := blank(arguments):
        raise InputError(empty)
    arguments.argv = words
    if arguments.command is None:
        parser.print_help(sys.stderr)
    return arguments


def _failed(error: Exception) -> int:
    """Report an unexpected error in one line."""
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        say(f"{str(error.filename)[:80]}…: the name is too long for a file; give another")
        return 2
    if isinstance(error, MemoryError):
        say("too little memory; free some, or raise the limit (ulimit -v)")
        return 1
    first = (str(error).strip().splitlines() or [""])[0]
    say(f"failed: {type(error).__name__}: {first} (--debug shows where)")
    return 1


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Show EdgeBERT's own warnings without the source line that Python adds."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *more: Any, **named: Any) -> None:  # noqa: ANN401
        if issubclass(category, SaturationWarning | FallbackWarning):
            sys.stderr.write(f"edgebert: warning: {escaped(str(message))}\n")
        else:
            usual(message, category, *more, **named)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


def _take_rest(arguments: argparse.Namespace, rest: list[str]) -> bool:
    """Assign the arguments that argparse leaves over: it stops reading TEXT or BUNDLE after an option."""
    if arguments.command == "predict":
        arguments.text += rest
        return True
    if arguments.command == "bench" and arguments.estimate:
        arguments.estimate_or_bundle = rest
        return True
    return False


def _run(arguments: argparse.Namespace) -> int:
    """Import the command's module only when it runs: a device does not have the export packages."""
    import importlib

    module = importlib.import_module(f"edgebert.commands.{arguments.command}")
    code: int = module.run(arguments)
    return code


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = Parser(
        prog="edgebert",
        description="Make a BERT task model run on small hardware: compress, export, predict, measure.",
        epilog="Exit codes: 0 done, 1 the run failed, 2 wrong use or bad input.",
    )
    parser.add_argument("--version", action="version", version=f"edgebert {__version__}")
    parser.set_defaults(debug=False, json=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="write one JSON document to stdout, nothing else")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    for add in (
        _export,
        _recipe,
        _compare,
        _predict,
        _evaluate,
        _bench,
        _report,
        _inspect,
        _verify,
        _profiles,
        _doctor,
    ):
        add(commands, common)
    return parser


def _add(
    commands: Commands, common: argparse.ArgumentParser, name: str, about: str, example: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        parents=[common],
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=f"Example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return command


def _export(commands: Commands, common: argparse.ArgumentParser) -> None:
    example = (
        "edgebert export my-model\n         edgebert export export/sst2.toml --data-dir data --set finetune.epochs=1"
    )
    about = "make a bundle from a checkpoint, or from a recipe and its data"
    command = _add(commands, common, "export", about, example)
    command.add_argument(
        "recipe",
        metavar="CHECKPOINT or RECIPE.toml",
        help="a checkpoint's folder, package:NAME or hub id; or a recipe (`edgebert recipe` writes one)",
    )
    command.add_argument("--model", help="checkpoint folder, package:NAME or hub id, instead of the recipe's")
    command.add_argument("--data-dir", help="folder of the recipe's relative data paths (default: the recipe's)")
    command.add_argument("--profile", help="hardware profile, by name or path, instead of the recipe's")
    command.add_argument("--out", help="the bundle's folder (default: build/NAME)")
    command.add_argument("--work", help="folder of finished stages, from which a run continues (default: OUT.work)")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a recipe key; may be repeated"
    )
    command.add_argument("--budget", metavar="TIME", help="time that the export may take, such as 45m; sets epochs")
    _strict_labels(command, "validation and test files")
    group = command.add_argument_group("of a checkpoint", "What its folder does not state; a recipe states it itself.")
    group.add_argument("--task", help="a task's name, such as text-classification (default: from the model's class)")
    group.add_argument("--pooling", help="how an encoder's rows become one vector: mean, cls, max and more")
    group.add_argument("--labels", metavar="A,B,C", help="names of the head's outputs, in order")
    group.add_argument("--pairs", action="store_true", help="the model takes two texts at a time")
    group.add_argument(
        "--text", metavar="FILE", help="texts to check the bundle on (default: EdgeBERT's own sentences)"
    )
    group.add_argument("--precision", choices=get_args(AskedPrecision), default="int8", help=PRECISIONS)


def _recipe(commands: Commands, common: argparse.ArgumentParser) -> None:
    example = "edgebert recipe text-classification > my.toml"
    command = _add(commands, common, "recipe", "write a commented recipe to fill in, or list the tasks", example)
    command.add_argument("task", metavar="TASK", nargs="?", help="the recipe's task; without it, all tasks are listed")


def _compare(commands: Commands, common: argparse.ArgumentParser) -> None:
    example = "edgebert compare build/my-model my-model --text texts.txt"
    about = "compare a bundle's outputs with its checkpoint's, run by the library that made it"
    command = _add(commands, common, "compare", about, example)
    command.add_argument("bundle", metavar="BUNDLE", help="the bundle's folder")
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="the folder, package:NAME or hub id it was made from")
    command.add_argument("--text", metavar="FILE", help="texts to compare on (default: EdgeBERT's own sentences)")
    command.add_argument(
        "--max-difference", type=float, metavar="D", help="exit with 1 if an output differs by more (default: no limit)"
    )
    _columns(command, "--text", labelled=False)
    _runtime(command)


def _predict(commands: Commands, common: argparse.ArgumentParser) -> None:
    example = 'edgebert predict build/sst2 "a charming and often affecting journey"'
    command = _add(commands, common, "predict", "answer texts with a bundle", example)
    command.add_argument("bundle", metavar="BUNDLE", help="the bundle's folder")
    command.add_argument("text", metavar="TEXT", nargs="*", help="texts; without any, stdin is read, one text per line")
    command.add_argument("--text-pair", help="second text of every TEXT or line, for bundles that take pairs")
    command.add_argument("--context", help="the text to find answers in; every TEXT or line is a question")
    command.add_argument(
        "--input",
        help="file of texts: .jsonl, .tsv or .csv with text (and text_pair; question and context), .txt or .gz of one, "
        ".parquet, .arrow",
    )
    command.add_argument("--out", help=".parquet or .arrow file for the input's columns and the answers")
    command.add_argument(
        "--jsonl", action="store_true", help="write one JSON object per line, as soon as each text is answered"
    )
    _columns(command, "--input", labelled=False)
    _runtime(command)


def _evaluate(commands: Commands, common: argparse.ArgumentParser) -> None:
    example = "edgebert evaluate build/sst2 --data data/sst2/test.tsv"
    command = _add(commands, common, "evaluate", "score a bundle on labelled text", example)
    command.add_argument("bundle", metavar="BUNDLE", help="the bundle's folder")
    command.add_argument(
        "--data",
        required=True,
        help="labelled file with the columns of the bundle's data, or with text, text_pair and label",
    )
    _columns(command, "--data")
    command.add_argument(
        "--by-label",
        action="store_true",
        help="also show precision, recall, F1 and support of each label or entity type, and frequent confusions",
    )
    _strict_labels(command, "a file")
    _runtime(command)


def _bench(commands: Commands, common: argparse.ArgumentParser) -> None:
    example = "edgebert bench build/sst2 --data data/sst2/dev.tsv --stages --out build/bench"
    command = _add(commands, common, "bench", "measure bundles and their full-precision baseline", example)
    command.set_defaults(estimate_or_bundle=[])
    command.add_argument("bundle", metavar="BUNDLE", nargs="+", help="bundle folders")
    command.add_argument("--data", help="file of texts; with labels, quality is measured too")
    _columns(command, "--data")
    _strict_labels(command, "a file")
    command.add_argument("--suite", help="what to measure: a TOML file (bench/suites/; default: the standard suite)")
    command.add_argument(
        "--baseline", help="full-precision bundle (default: BUNDLE/baseline or BUNDLE.stages/0-baseline)"
    )
    command.add_argument(
        "--stages", action="store_true", help="also measure the bundles of BUNDLE.stages, for a waterfall"
    )
    command.add_argument(
        "--profile-ops", action="store_true", help="also time every operator, slowest first, in separate processes"
    )
    command.add_argument(
        "--estimate",
        action="append",
        default=[],
        metavar="PROFILE",
        help="also estimate latency for a hardware profile, by name or path; kept apart from measurements; "
        "may be repeated, or name several: A,B or A B",
    )
    command.add_argument(
        "--target",
        default="local",
        help="local, cuda, cuda://tensorrt, ssh://[USER@]HOST[:PORT], qemu://CPU (default: local)",
    )
    command.add_argument("--out", help="folder for result.json and raw samples (default: BUNDLE.bench)")
    command.add_argument(
        "--strict", action="store_true", help="exit with 1 if the machine was disturbed; the result is kept"
    )
    command.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="CHECK",
        help="exit with 1 if the bundle's METRIC>VALUE, METRIC<VALUE, or METRIC>FACTORx:RESULT.json of an earlier run; "
        "p50, p90, p99, mean, cold_start, peak_rss, size, throughput or quality; may be repeated",
    )


def _report(commands: Commands, common: argparse.ArgumentParser) -> None:
    example = "edgebert report build/sst2.bench/result.json --out build/report.html"
    command = _add(commands, common, "report", "make an HTML page, Markdown or a CSV table from results", example)
    command.add_argument(
        "result", metavar="RESULT.json", nargs="+", help="result of bench, or its folder; several side by side"
    )
    command.add_argument(
        "--out",
        default="report.html",
        help="file ending in .html, .md or .csv, or - for Markdown on stdout (default: report.html)",
    )


def _inspect(commands: Commands, common: argparse.ArgumentParser) -> None:
    command = _add(
        commands, common, "inspect", "show what a bundle is and how it was made", "edgebert inspect build/sst2"
    )
    command.add_argument("bundle", metavar="BUNDLE", help="the bundle's folder")


def _verify(commands: Commands, common: argparse.ArgumentParser) -> None:
    example = "edgebert verify build/sst2 --hash 0cb47442818c551e"
    command = _add(commands, common, "verify", "check every file of a bundle", example)
    command.add_argument("bundle", metavar="BUNDLE", help="the bundle's folder")
    command.add_argument(
        "--hash",
        help="the hash that export printed, or its first digits; it covers the manifest, which lists all other hashes",
    )


def _profiles(commands: Commands, common: argparse.ArgumentParser) -> None:
    command = _add(
        commands, common, "profiles", "list hardware profiles, or show one", "edgebert profiles raspberry-pi-5"
    )
    command.add_argument("name", nargs="?", help="a profile's name or path")


def _doctor(commands: Commands, common: argparse.ArgumentParser) -> None:
    _add(
        commands,
        common,
        "doctor",
        "show what is installed, what is missing, and what this machine can do",
        "edgebert doctor",
    )


def _columns(command: argparse.ArgumentParser, file: str, labelled: bool = True) -> None:
    """Add options that name columns of a data file; without `labels`, only those for texts."""
    command.set_defaults(label_column="", tags_column="")
    group = command.add_argument_group(
        f"columns of {file}",
        "Header names, JSON keys, or with --no-header numbers from 1 (default: those of the bundle's data).",
    )
    words = ", words or a question; for CoNLL files the column's number, from 0" if labelled else " or a question"
    group.add_argument("--text-column", default="", metavar="NAME", help=f"the text{words}")
    group.add_argument("--pair-column", default="", metavar="NAME", help="the second text, or the context")
    if labelled:
        group.add_argument("--label-column", default="", metavar="NAME", help="label, score, intent or answers")
        tags = "tags or entities; for CoNLL files the column's number, from 0 or backwards from -1"
        group.add_argument("--tags-column", default="", metavar="NAME", help=tags)
    delimiters = ["tab", "comma", "semicolon", "pipe"]
    group.add_argument("--delimiter", default="suffix", choices=delimiters, help="of a table (default: from suffix)")
    group.add_argument("--no-header", action="store_true", help="table whose first line is a row")
    group.add_argument("--skip-empty", action="store_true", help="skip rows with an empty cell, and say how many")


def _strict_labels(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument(
        "--strict-labels",
        action="store_true",
        help=f"refuse {what} with labels that the model does not have (default: report them, and count them as wrong)",
    )


def _runtime(command: argparse.ArgumentParser) -> None:
    command.add_argument("--runtime", choices=list(RUNTIMES), help="default: the bundle's own choice")
    command.add_argument("--threads", type=int, help="threads inside one prediction (default: the profile's)")


if __name__ == "__main__":
    sys.exit(main())
