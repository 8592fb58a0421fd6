"""`examples/c`: a C program with only the header and the library gives EdgeBERT's own answers."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from c_example import write_model

from edgebert.runtime.encode import Encoded
from edgebert.runtime.sessions.core import LIBRARY, CoreSession, unusable

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ([2, 7, 9, 3], [2, 3], [2, 30, 31, 32, 33, 34, 35, 3])

pytestmark = [
    pytest.mark.skipif(bool(unusable()), reason=unusable()),
    pytest.mark.skipif(not (shutil.which("make") and shutil.which("cc")), reason="no make and cc here"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("c") / "example"
    shutil.copytree(ROOT / "examples" / "c", folder, ignore=shutil.ignore_patterns("classify"))
    places = (f"CORE={ROOT / 'core'}", f"LIBRARY={LIBRARY.parent}")
    command = ["make", "-C", folder, *places, "CFLAGS=-Wall -Wextra -Werror"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return folder / "classify"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, classifier_checkpoint: Path) -> Path:
    return write_model(classifier_checkpoint, "text-classification", tmp_path_factory.mktemp("model") / "core.bin")


@pytest.fixture
def ids(tmp_path: Path) -> Path:
    file = tmp_path / "ids.txt"
    file.write_text("".join(f"{' '.join(map(str, text))}\n" for text in TEXTS))
    return file


def own_answers(model: Path) -> list[np.ndarray]:
    session = CoreSession(model, 1, (), ())
    return [np.atleast_2d(answer) for (answer,) in session.run_ragged([Encoded(list(t), [0] * len(t)) for t in TEXTS])]


def run(program: Path, *arguments: str | Path) -> tuple[int, list[str], str]:
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout.splitlines(), ran.stderr


def read(lines: Sequence[str]) -> np.ndarray:
    return np.array([line.split(" ") for line in lines], np.float32)


def test_it_prints_the_class_and_its_probability(program: Path, model: Path, ids: Path) -> None:
    logits = np.concatenate(own_answers(model))
    code, lines, errors = run(program, model, ids)
    assert (code, errors) == (0, "")
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert [line.split(" ")[0] for line in lines] == [str(row.argmax()) for row in logits]
    np.testing.assert_allclose([float(line.split(" ")[1]) for line in lines], shares.max(1), atol=6e-5)


def test_its_raw_numbers_are_edgeberts_own(program: Path, model: Path, ids: Path) -> None:
    code, lines, _ = run(program, "--raw", model, ids, "1")
    assert code == 0
    np.testing.assert_array_equal(read(lines), np.concatenate(own_answers(model)))


def test_a_model_of_tokens_has_a_row_for_every_token(
    program: Path, checkpoint: Path, ids: Path, tmp_path: Path
) -> None:
    tagger = write_model(checkpoint, "token-classification", tmp_path / "core.bin")
    code, lines, errors = run(program, tagger, ids)
    assert (code, lines, errors) == (1, [], "classify: this model answers for every token; give --raw\n")
    code, lines, _ = run(program, "--raw", tagger, ids)
    assert code == 0
    np.testing.assert_array_equal(read(lines), np.concatenate(own_answers(tagger)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 7 3\n2 x 3\n", ", line 2: not token ids separated by spaces\n"),
        ("2 -7 3\n", ", line 1: not token ids separated by spaces\n"),
        ("2 99999999999 3\n", ", line 1: not token ids separated by spaces\n"),
        ("2 999999 3\n", "token id 999999 is beyond the vocabulary"),
        ("2 3\n\n2 3\n", "text 2 has 0 tokens; give 1 to 16\n"),
        ("", "the batch holds no text\n"),
    ],
)
def test_wrong_ids_are_refused_in_one_line(program: Path, model: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "ids.txt").write_text(text)
    code, lines, errors = run(program, model, tmp_path / "ids.txt")
    assert (code, lines) == (1, [])
    assert message in errors
    assert errors.count("\n") == 1


def test_a_file_that_is_no_model_is_refused(program: Path, ids: Path, tmp_path: Path) -> None:
    assert run(program, tmp_path / "none", ids)[::2] == (1, f"classify: {tmp_path / 'none'}: cannot be opened\n")
    assert run(program, ids, ids)[::2] == (1, f"classify: {ids}: this is no EdgeBERT model file\n")
