import random
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from bench.peers.comparison import Agreement, compare, predictions, refusal
from bench.peers.fixed_lengths import fixed_texts
from bench.peers.rounds import in_like_thirds
from bench.peers.run import main
from bench.peers.suite import Contender, Suite, read_suite
from bench.peers.table import markdown, what
from edgebert.errors import DataError, SettingsError
from edgebert.recipe import read_recipe

PEERS = Path(__file__).parents[2] / "bench/peers"
SUITES = sorted(PEERS.glob("suites/*.toml"))
RECIPES = sorted(PEERS.glob("recipes/*.toml"))
SUITE = Suite("small", "text-classification", (Contender("reference", "pytorch", "fp32", "pytorch"),))


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_suites_name_files_that_are_there(path: Path) -> None:
    suite = read_suite(path)
    assert any(contender.bundle for contender in suite.contender)
    assert not suite.contender[0].bundle
    assert suite.exported_in == "edgebert" or (PEERS / f"requirements/{suite.exported_in}.txt").is_file()
    for contender in suite.contender:
        assert (PEERS / f"contenders/{contender.file}.py").is_file()
        for name in filter(None, (contender.environment, contender.converted_in)):
            assert name == "edgebert" or (PEERS / f"requirements/{name}.txt").is_file()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_read_and_take_nothing_away(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.distill is None
    assert recipe.prune is None
    assert recipe.export.stages


def test_a_suite_with_one_name_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"
    contender = '[[contender]]\nname = "a"\nfile = "pytorch"\nprecision = "fp32"\nenvironment = "pytorch"\n'
    path.write_text('name = "x"\ntask = "similarity"\n' + 2 * contender, encoding="utf-8")
    with pytest.raises(SettingsError, match="each once"):
        read_suite(path)


def test_labels_and_differences_are_compared() -> None:
    reference = np.array([[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.6, 0.4]])
    answers = np.array([[0.8, 0.2], [0.2, 0.8], [0.55, 0.45], [0.6, 0.4]])
    found = compare("text-classification", reference, answers)
    assert (found.n, found.equal, found.share) == (4, 3, 0.75)
    assert found.largest_difference == pytest.approx(0.1)


def test_embeddings_are_compared_by_cosine() -> None:
    reference = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = compare("similarity", reference, np.array([[1.0, 0.0], [0.6, 0.8]]))
    assert (found.n, found.equal) == (2, 1)
    assert found.share == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("precision", "share", "difference", "refused"),
    [
        ("fp32", 1.0, 1e-5, False),
        ("fp32", 1.0, 1e-2, True),
        ("fp32", 1.0, float("nan"), True),
        ("int8", 0.96, 0.4, False),
        ("int8", 0.90, 0.1, True),
        ("int8", float("nan"), 0.1, True),
        ("fp16", 0.96, 0.4, False),
        ("fp16", 0.90, 0.1, True),
    ],
)
def test_who_may_be_timed(precision: str, share: float, difference: float, refused: bool) -> None:
    assert bool(refusal(precision, Agreement(100, 90, share, difference), SUITE)) is refused


def test_predictions_are_labels_or_cosines_of_pairs() -> None:
    assert predictions("text-classification", np.array([[0.9, 0.1], [0.2, 0.8]])) == [0, 1]
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert predictions("similarity", vectors) == [1.0, 0.0]


def tokenizer() -> Tokenizer:
    pieces = ["[UNK]", "[CLS]", "[SEP]", "good", "film", "play", "##ing"]
    made = Tokenizer(WordPiece({piece: at for at, piece in enumerate(pieces)}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    return made


@pytest.mark.parametrize("length", [8, 9, 32])
def test_fixed_texts_have_exactly_that_length(length: int) -> None:
    made = fixed_texts(tokenizer(), ["good playing", "film"], length, seed=7)
    assert {len(tokenizer().encode(text).ids) for text in made} == {length}
    assert made == fixed_texts(tokenizer(), ["film", "good playing"], length, seed=7)


def test_words_that_never_fit_are_an_error() -> None:
    with pytest.raises(DataError, match="single token"):
        fixed_texts(tokenizer(), ["playing"], 9, seed=7)


def test_thirds_hold_texts_of_like_lengths() -> None:
    texts = ["x" * length for length in range(1, 31)]
    dealt = in_like_thirds(texts, random.Random(0))
    assert sorted(dealt, key=len) == texts
    totals = [sum(map(len, dealt[start : start + 10])) for start in (0, 10, 20)]
    assert max(totals) - min(totals) <= 20


def result() -> dict:
    case = {"p50_ms": 2.0, "p90_ms": 3.0, "p99_ms": 4.0, "cold_start_ms": 200.4, "import_ms": 100.0, "load_ms": 50.0}
    case |= {"first_ms": 5.0, "peak_rss_mb": 99.6, "size_mb": 23.04, "agreement": {"share": 0.99}}
    cases = [
        {**case, "variant": name, "lengths": kind, "quality": {"value": 0.875} if name == "peer" else None}
        for kind in ("natural", "128")
        for name in ("peer", "ours")
    ]
    ratios = [
        {"what": what("peer", "ours", kind), "value": 2.5, "ci_low": 2.0, "ci_high": 3.0} for kind in ("natural",)
    ]
    suite = {"ours": ["ours"], "left_out": {"gone": "no wheel for this Python"}}
    return {"cases": cases, "ratios": ratios, "suite": suite, "verdict": {"reasons": ["somebody else worked"]}}


def test_the_table_has_a_row_a_contender_and_who_is_left_out() -> None:
    text = markdown(result())
    assert "| peer | 0.8750 | 0.9900 | 2.00 | 3.00 | 4.00 | 2.50 (2.00 to 3.00) |" in text
    assert "| ours |  | 0.9900 | 2.00 | 3.00 | 4.00 |  |" in text
    assert "| peer | 200 | 100 | 50 | 5 | 100 | 23.0 |" in text
    assert "- gone: no wheel for this Python" in text
    assert "- somebody else worked" in text
    assert text.index("Natural lengths") < text.index("128 tokens") < text.index("Start and size")


def test_a_result_without_cases_still_says_who_is_left_out() -> None:
    empty = result() | {"cases": [], "verdict": {"reasons": []}}
    assert markdown(empty) == "Left out:\n\n- gone: no wheel for this Python\n"


def test_wrong_use_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--model", str(tmp_path), "--bundle", str(tmp_path), "--data", str(tmp_path / "none.tsv")]
    assert main([str(SUITES[0]), *given, "--only", "nobody"]) == 2
    assert main([str(SUITES[0]), *given, "--rounds", "1"]) == 2
    assert main([str(SUITES[0]), *given]) == 2
    assert capsys.readouterr().err.count("peers: ") == 3
