"""`edgebert predict`: answers on stdout, one line of error on stderr, texts from all sources."""

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, refused
from manifests import manifest_of, rewrite

from edgebert.runtime.prediction import Prediction

# Standard input as in a UTF-8 locale. In the C locale, Python passes invalid bytes as surrogates.
STRICT = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}


def given_on_stdin(text: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")


def test_predict_answers_one_line_a_text(built: Path, run: Run) -> None:
    code, out, err = run("predict", built, "a good film", "the story was awful", "film " * 500)
    assert (code, err) == (0, "")
    rows = [line.split("\t") for line in out.splitlines()]
    assert [(row[0], row[2]) for row in rows[:2]] == [("pos", "a good film"), ("neg", "the story was awful")]
    assert 0.5 < float(rows[0][1]) <= 1
    assert rows[2][2].endswith("…")
    assert [len(row) for row in rows] == [3, 3, 4]
    assert rows[2][3] == "(cut short)"


def test_a_text_of_two_lines_is_answered_in_one(built: Path, run: Run) -> None:
    code, out, _ = run("predict", built, "a good\nfilm\tis so\rgood")
    assert code == 0
    assert len(out.splitlines()) == 1
    assert out.count("\t") == 2


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_predict_as_json_is_only_json(built: Path, runtime: str, run: Run) -> None:
    texts = ["a good film", "film " * 500 + "🙂"]
    answers = json.loads(run("predict", built, *texts, "--json", "--runtime", runtime, "--threads", 1)[1])
    assert [answer["text"] for answer in answers] == texts
    assert [answer["truncated"] for answer in answers] == [False, True]
    assert answers[0]["label"] == "pos"
    assert answers[0]["score"] == answers[0]["scores"]["pos"]
    assert sum(answers[0]["scores"].values()) == pytest.approx(1, abs=1e-6)


FILES = {
    "in.txt": "a good film\n\nthe story was awful\n",
    "in.jsonl": '{"text": "a good film"}\n{"text": "the story was awful", "id": 3}\n',
    "in.tsv": "id\ttext\n1\ta good film\n2\tthe story was awful\n",
}
ANSWERS = [["pos", "a good film"], ["neg", "the story was awful"]]


@pytest.mark.parametrize(("name", "content"), FILES.items())
def test_predict_reads_a_file(name: str, content: str, built: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / name).write_text(content)
    code, out, _ = run("predict", built, "--input", tmp_path / name)
    assert code == 0
    assert [line.split("\t")[::2] for line in out.splitlines()] == ANSWERS


def test_predict_reads_stdin(built: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", given_on_stdin("\ufeffa good film\r\n\n  \nthe story was awful"))
    code, out, _ = run("predict", built)
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == ["pos", "neg"]


def test_a_line_of_stdin_without_an_end_is_refused(run: Run, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebert.commands.predict.MAX_LINE", 20)
    monkeypatch.setattr("sys.stdin", given_on_stdin("a good film of 20 b\n" + "film " * 1_000))
    code, out, err = run("predict", built)
    assert (code, len(out.splitlines())) == (2, 1)
    assert err == "edgebert: standard input: line 2: has more than 20 bytes; split the text\n"


def test_only_a_line_feed_ends_a_line_of_stdin_or_of_a_file(
    built: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"a good{char}film" for char in "\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029"]
    monkeypatch.setattr("sys.stdin", given_on_stdin("\n".join(texts)))
    (tmp_path / "in.txt").write_text("\n".join(texts), encoding="utf-8", newline="")
    for more in ([], ["--input", tmp_path / "in.txt"]):
        code, out, _ = run("predict", built, *more, "--json")
        assert code == 0
        assert [answer["text"] for answer in json.loads(out)] == texts


def test_every_line_of_stdin_is_asked_with_the_second_text(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebert.load", lambda *_, **__: Joined())
    monkeypatch.setattr("sys.stdin", given_on_stdin("who?\n\nwhere?\n"))
    code, out, _ = run("predict", "a-bundle", "--context", "Ann was in Paris.")
    assert code == 0
    assert out.splitlines() == [
        "who? <- Ann was in Paris.\twho? | Ann was in Paris.",
        "where? <- Ann was in Paris.\twhere? | Ann was in Paris.",
    ]


@dataclass(frozen=True)
class Said(Prediction):
    text: str

    def __str__(self) -> str:
        return self.text


class Joined:
    """A bundle whose answer is its two texts, joined."""

    manifest = manifest_of(task="question-answering", segments=2)

    def __init__(self) -> None:
        self.task = self

    def encode(self, given: Any) -> None:
        assert isinstance(given, tuple)

    def __call__(self, given: tuple[str, str]) -> Said:
        return Said(" <- ".join(given))


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("q.txt", "who?\n\nwhere?\n", ["--context", "Ann was in Paris."]),
        ("q.tsv", "question\tcontext\nwho?\tAnn was in Paris.\nwhere?\tAnn was in Paris.\n", []),
        ("q.tsv", "text\ttext_pair\nwho?\tAnn was in Paris.\nwhere?\tAnn was in Paris.\n", []),
    ],
)
def test_rows_of_a_file_are_asked_with_their_context_or_the_given_one(
    name: str, content: str, more: list[str], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebert.load", lambda *_, **__: Joined())
    (tmp_path / name).write_text(content)
    code, out, _ = run("predict", "a-bundle", "--input", tmp_path / name, *more)
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == [
        "who? <- Ann was in Paris.",
        "where? <- Ann was in Paris.",
    ]


def test_two_contexts_are_refused(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebert.load", lambda *_, **__: Joined())
    (tmp_path / "q.tsv").write_text("question\tcontext\nwho?\tAnn.\n")
    message = refused(run("predict", "a-bundle", "--input", tmp_path / "q.tsv", "--context", "Lee."))
    assert message.endswith("q.tsv: has pairs, and a second text is given too; leave one of them out")


def test_a_second_text_for_stdin_is_refused_where_single_texts_are_asked(
    built: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", given_on_stdin("a good film\n"))
    message = refused(run("predict", built, "--text-pair", "b"))
    assert message.startswith("standard input: line 1: a pair of texts was given, but this bundle takes single texts")


@pytest.mark.parametrize("given", ["", " \n\n"])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_nothing_on_stdin_is_told(
    given: str, more: list[str], built: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", given_on_stdin(given))
    message = refused(run("predict", built, *more))
    assert message == "standard input has no text; give TEXT, --input FILE, or one text per line"


def test_a_terminal_is_told_that_texts_are_awaited(built: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = given_on_stdin("a good film\n")
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", typed)
    code, out, err = run("predict", built)
    assert (code, out.split("\t")[0]) == (0, "pos")
    assert err == "edgebert: type one text per line; end with Ctrl-D\n"


def test_stdin_that_is_not_utf8_is_bad_input(built: Path) -> None:
    command = [sys.executable, "-m", "edgebert.cli", "predict", str(built)]
    done = subprocess.run(
        command, input=b"\xef\xbb\xbfa good film\ncaf\xe9\n", capture_output=True, env=STRICT, check=False
    )
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "edgebert: standard input: line 2: bytes b'\\xe9\\n' are not UTF-8; convert it to UTF-8\n"
    )
    assert done.stdout.startswith(b"pos\t")


def test_a_line_is_answered_before_the_next_one_comes(built: Path) -> None:
    command = [sys.executable, "-m", "edgebert.cli", "predict", str(built)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asked:
        assert asked.stdin
        assert asked.stdout
        for text, label in (("a good film", "pos"), ("the story was awful", "neg")):
            asked.stdin.write(text + "\n")
            asked.stdin.flush()
            assert asked.stdout.readline().split("\t")[0] == label
        asked.stdin.close()
    assert asked.returncode == 0


def test_a_reader_that_has_enough_ends_it_quietly(built: Path) -> None:
    command = f"yes a good film | {sys.executable} -m edgebert.cli predict {built} | head -n 2"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=True)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["pos", "pos"]
    assert done.stderr == ""


@pytest.mark.parametrize("options", ["", "--json"])
def test_a_reader_that_has_enough_is_no_failed_run(options: str, built: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("a good film of the long kind\n" * 900)
    command = f"set -o pipefail; {sys.executable} -m edgebert.cli predict {built} --input {path} {options} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 1, "")


def test_a_closed_standard_input_holds_no_text(built: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert refused(run("predict", built)).startswith("standard input has no text; give TEXT")


def test_a_file_is_refused_before_its_first_answer(built: Path, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "t.txt"
    path.write_text("a good film\n\x01\n")
    assert refused(run("predict", built, "--input", path)) == (
        f"{path}: line 2: text '\\x01' holds no token; give at least one word"
    )


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["a", "--text-pair", "b"], "this bundle takes single texts"),
        (["a", "--context", "b"], "this bundle takes single texts"),
        (["a", "c", "--context", "b"], "a pair of texts was given, but this bundle takes single texts"),
        (["a", "--text-pair", "b", "--context", "b"], "both --text-pair and --context are given"),
        (["a", "--input", "x.txt"], "both TEXT and --input are given"),
        (["--input", "no.txt"], "no.txt: no such file"),
        (["--input", "x.pdf"], "unknown data format '.pdf'"),
        (["a", "  "], "holds no token"),
        (["a", "--threads", "0"], "threads is 0; give 1 to 1024"),
        (["a", "--threads", "100000"], "threads is 100000; give 1 to 1024"),
        (["good", "", "bad"], "text 2 of 3: text '' holds no token"),
        (["good", " \t"], "text 2 of 2: text ' \\t' holds no token"),
    ],
)
def test_predict_refuses_what_it_cannot_answer(arguments: list[str], fact: str, built: Path, run: Run) -> None:
    assert fact in refused(run("predict", built, *arguments))


@pytest.mark.parametrize(
    ("name", "content"),
    [("in.jsonl", '{"text": "a good film", "text_pair": "b"}\n'), ("in.tsv", "text\ttext_pair\na good film\tb\n")],
)
def test_a_file_of_pairs_is_refused_where_single_texts_are_asked(
    name: str, content: str, built: Path, tmp_path: Path, run: Run
) -> None:
    (tmp_path / name).write_text(content)
    message = refused(run("predict", built, "--input", tmp_path / name))
    assert message.endswith(f"{name}: has pairs ('text_pair'), but this bundle takes single texts; leave it out")


def test_predict_takes_texts_behind_an_option(built: Path, run: Run) -> None:
    before, after = (
        run("predict", "--json", built, "a good film", "dull"),
        run("predict", built, "--json", "a good film", "dull"),
    )
    assert before == after
    assert [answer["text"] for answer in json.loads(after[1])] == ["a good film", "dull"]


def test_an_option_that_is_not_known_is_wrong_use(built: Path, run: Run) -> None:
    code, out, err = run("predict", built, "--loud", "a")
    assert (code, out) == (2, "")
    assert "unrecognized arguments: --loud" in err


def test_predict_reads_the_columns_that_the_bundle_was_made_from(bundle_copy: Path, tmp_path: Path, run: Run) -> None:
    manifest = json.loads((bundle_copy / "manifest.json").read_text())
    manifest["data"]["columns"]["text"] = "sentence"
    rewrite(bundle_copy, data=manifest["data"])
    rows = tmp_path / "rows.tsv"
    rows.write_text("sentence\tlabel\na good film\tpos\n")
    code, out, _ = run("predict", bundle_copy, "--input", rows)
    assert code == 0
    assert out.endswith("\ta good film\n")


def test_a_pipe_that_has_256_characters_gets_the_others_as_escapes(built: Path) -> None:
    # As Windows writes to a file: in its code page instead of UTF-8.
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252:strict"}
    command = [sys.executable, "-m", "edgebert.cli", "predict", str(built), "caf\u00e9 \u732b"]
    shown = subprocess.run(command, capture_output=True, env=environment, check=True).stdout.decode("cp1252")
    assert shown.rstrip().endswith("caf\u00e9 \\u732b")
    told = subprocess.run([*command, "--json"], capture_output=True, env=environment, check=True).stdout
    assert json.loads(told)[0]["text"] == "caf\u00e9 \u732b"
