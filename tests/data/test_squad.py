"""Questions on disk: SQuAD documents and JSON Lines, answers at the stated offsets, and invalid files."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgebert.data.squad import Answer, read_squad
from edgebert.errors import DataError

SQUAD = Path(__file__).parents[2].parent / "shared" / "data" / "squad"
CONTEXT = "Zoë 🙂 met Ann in Paris,\tthen Ann left."


def question(answers: Any = None, number: int = 1, **more: Any) -> dict[str, Any]:
    row = {"id": f"q{number}", "question": f"Who {number}?", **more}
    return row if answers is None else {**row, "answers": answers}


def squad(*rows: Any, context: Any = CONTEXT) -> dict[str, Any]:
    paragraph = {"context": context, "qas": list(rows)}
    return {"version": "1.1", "data": [{"title": "People", "paragraphs": [paragraph]}]}


def answer(text: str, start: Any) -> dict[str, Any]:
    return {"text": text, "answer_start": start}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Any]:
    """Examples of a document."""

    def read(document: Any, *arguments: Any) -> Any:
        path = tmp_path / "d.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return read_squad(path, *arguments)

    return read


def test_questions_stand_with_context_answers_and_number(read: Callable[..., Any], tmp_path: Path) -> None:
    document = squad(
        question([answer("Ann", 10), answer("Ann in Paris", 10)], 1), question([answer("🙂", 4)], 2), context=CONTEXT
    )
    document["data"].append({"paragraphs": [{"context": "x y", "qas": [question([answer("y", 2)], 3)]}]})
    first, second, third = read(document)
    assert (first.text, first.text_pair, first.line) == ("Who 1?", CONTEXT, 1)
    assert first.label == (Answer("Ann", 10), Answer("Ann in Paris", 10))
    assert second.label == (Answer("🙂", 4),)
    assert (third.text, third.text_pair, third.label, third.line) == ("Who 3?", "x y", (Answer("y", 2),), 3)
    assert third.place == f"{tmp_path / 'd.json'}: question 3"


@pytest.mark.parametrize("more", [{}, {"is_impossible": True}, {"is_impossible": True, "plausible_answers": [5]}])
def test_a_question_without_an_answer_has_none(more: dict[str, Any], read: Callable[..., Any]) -> None:
    assert read(squad(question([], **more)))[0].label == ()


def test_impossible_says_as_much_as_an_empty_list(read: Callable[..., Any]) -> None:
    assert read(squad(question(is_impossible=True)))[0].label == ()


def test_answers_that_a_file_does_not_give_or_that_are_not_asked_for_are_unknown(read: Callable[..., Any]) -> None:
    assert read(squad(question()))[0].label is None
    assert read(squad(question([answer("nowhere", 99)])), "refuse", False)[0].label is None


LINES = [
    {"id": 7, "question": "Who?", "context": CONTEXT, "answers": [{"text": "Ann", "start": 10}]},
    {"question": "When?", "context": CONTEXT, "answers": []},
    {"question": "Why?", "context": "Because."},
]


@pytest.mark.parametrize("name", ["d.jsonl", "d.JSONL", "d.jsonl.gz"])
def test_json_lines_give_the_same_with_their_lines(name: str, tmp_path: Path) -> None:
    text = "\n\n".join(json.dumps(row) for row in LINES).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    examples = read_squad(tmp_path / name)
    assert [example.label for example in examples] == [(Answer("Ann", 10),), (), None]
    assert [example.line for example in examples] == [1, 3, 5]
    assert [example.text_pair for example in examples] == [CONTEXT, CONTEXT, "Because."]


def test_answers_in_the_form_of_hugging_faces_datasets_are_read(tmp_path: Path) -> None:
    row = {"question": "Who?", "context": CONTEXT}
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(row | {"answers": {"text": ["Ann"], "answer_start": [10]}}))
    assert read_squad(path)[0].label == (Answer("Ann", 10),)
    path.write_text(json.dumps(row | {"answers": [{"text": "Ann", "answer_start": 10}]}))
    assert read_squad(path)[0].label == (Answer("Ann", 10),)
    path.write_text(json.dumps(row | {"answers": {"text": [], "answer_start": []}}))
    assert read_squad(path)[0].label == ()
    path.write_text(json.dumps(row | {"answers": {"text": ["Ann"], "answer_start": []}}))
    with pytest.raises(DataError, match="line 1: 1 texts of answers and 0 starts; expected equal numbers"):
        read_squad(path)


def test_two_starts_of_an_answer_that_differ_are_refused(tmp_path: Path) -> None:
    path, row = tmp_path / "d.jsonl", {"question": "Who?", "context": CONTEXT}
    path.write_text(json.dumps(row | {"answers": [{"text": "Ann", "start": 10, "answer_start": 10}]}))
    assert read_squad(path)[0].label == (Answer("Ann", 10),)
    path.write_text(json.dumps(row | {"answers": [{"text": "Ann", "start": 10, "answer_start": 9}]}))
    with pytest.raises(DataError, match=r"line 1: answer .*'start' and 'answer_start' differ; give one of them"):
        read_squad(path)


def test_a_compressed_document_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.json.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + json.dumps(squad(question([answer("Ann", 10)]))).encode()))
    assert read_squad(path)[0].label == (Answer("Ann", 10),)


@pytest.mark.parametrize(
    ("text", "start", "there"),
    [
        ("Ann", 9, "' An'"),
        ("Ann", 99, "''"),
        ("Ann", -1, "'Zoë'"),
        ("ann", 10, "'Ann'"),
        ("Paris, then", 17, "'Paris,\\tthen'"),
        ("left..", 33, "'left.'"),
    ],
)
def test_an_answer_that_is_not_where_it_says_is_refused_with_what_stands_there(
    text: str, start: int, there: str, read: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        read(squad(question([answer("Ann", 10)], 1), question([answer("Paris", 17), answer(text, start)], 2)))
    assert str(caught.value) == (
        f"{tmp_path / 'd.json'}: question 'q2': answer {text!r} should start at character {start}, but {there} "
        'is there; expected its offset in the context, or head.misplaced_answers = "repair" in the recipe'
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("start", "found"), [(10, 10), (9, 10), (0, 10), (-5, 10), (19, 10), (20, 29), (29, 29), (31, 29), (1000, 29)]
)
def test_a_misplaced_answer_is_moved_to_its_nearest_occurrence(
    start: int, found: int, read: Callable[..., Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    examples = read(squad(question([answer("Ann", start)])), "repair")
    assert examples[0].label == (Answer("Ann", found),)
    note = f"edgebert: {tmp_path / 'd.json'}: repaired answers with a wrong start: "
    note += "1 moved, 0 dropped, 0 questions left out\n"
    assert capsys.readouterr().err == ("" if start == found else note)


def test_of_two_occurrences_equally_near_the_earlier_is_taken(read: Callable[..., Any]) -> None:
    (example,) = read(squad(question([answer("b", 2)]), context="b_x_b"), "repair")
    assert example.label == (Answer("b", 0),)


def test_answers_that_stand_nowhere_are_dropped_and_a_question_that_loses_all_is_left_out(
    read: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        question([answer("Bob", 1), answer("Ann", 10)], 1),
        question([answer("Bob", 1), answer("bob", 1)], 2),
        question([], 3),
        question([answer("Paris", 3)], 4),
    ]
    examples = read(squad(*rows), "repair")
    assert [example.label for example in examples] == [(Answer("Ann", 10),), (), (Answer("Paris", 17),)]
    assert [example.line for example in examples] == [1, 3, 4]
    assert "1 moved, 3 dropped, 1 questions left out" in capsys.readouterr().err
    with pytest.raises(DataError, match="holds no questions"):
        read(squad(rows[1]), "repair")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", ": is empty"),
        ('{"data": [\n{"paragraphs" 5}]}', ": line 2: not JSON (Expecting ':' delimiter, at '5}]}'); expected"),
        ("[" * 100_000, ": line 1: not JSON (nested too deeply"),
        ('{"data": [],\n"more":\n{"a": 1,\n"a": 1}}', ": line 3: not JSON (key 'a' occurs twice in one object, at "),
        ('{"data": [{},\n{"paragraphs": [NaN]}]}', ": line 2: not JSON (NaN is not a JSON number, at '{\"paragraphs"),
        ('["x"]', ": ['x']; expected an object with 'data'"),
        ({"version": "1.1"}, ": no key 'data' in {'version': '1.1'}; expected a list there"),
        ({"data": {"a": 1}}, ": 'data' is {'a': 1}; expected a list"),
        ({"data": []}, ": holds no questions; expected at least one with a context"),
        ({"data": ["x"]}, ": data[0]: 'x'; expected an object with 'paragraphs'"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, ": data[0]: paragraphs[0]: no key 'context' in {'qas': []}"),
        (squad(context=" \n"), ": data[0]: paragraphs[0]: 'context' is ' \\n'; expected a string that is not blank"),
        (squad(context=["a"]), ": data[0]: paragraphs[0]: 'context' is ['a']; expected a string that is not blank"),
        (squad(context="a\ud83d"), ": paragraphs[0]: 'context' holds a lone surrogate: 'a\\ud83d'"),
        (squad("x"), ": data[0]: paragraphs[0]: qas[0]: 'x'; expected an object with 'question'"),
        (squad({"id": 5}), ": question 5: no key 'question' in {'id': 5}; expected a string"),
        (squad({"answers": []}), ": qas[0]: no key 'question' in {'answers': []}"),
        (squad(question([], question="\t")), ": question 'q1': 'question' is '\\t'; expected a string that is not"),
        (squad(question("Ann")), ": question 'q1': 'answers' is 'Ann'; expected a list"),
        (squad(question(["Ann"])), ": question 'q1': answer 'Ann'; expected {\"text\": a string of the context, "),
        (squad(question([answer("Ann", "10")])), "'answer_start': '10'}; expected {\"text\": a string"),
        (squad(question([answer("Ann", True)])), "'answer_start': True}; expected"),
        (squad(question([answer("Ann", 10.0)])), "'answer_start': 10.0}; expected"),
        (squad(question([answer(" ", 3)])), "'text': ' ', 'answer_start': 3}; expected"),
        (squad(question([{"text": "Ann", "start": 10}])), '"answer_start": an integer}'),
        (squad(question([], is_impossible=False)), "'is_impossible' is False beside 0 answers; expected true without"),
        (squad(question([answer("Ann", 10)], is_impossible=True)), "'is_impossible' is True beside 1 answers"),
        (squad(question([], is_impossible="yes")), "'is_impossible' is 'yes' beside 0 answers"),
    ],
)
def test_a_document_that_is_not_of_the_form_is_told_with_place_value_and_what_was_expected(
    document: Any, says: str, read: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        read(document)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'd.json'}: ")
    assert says in message
    assert "\n" not in message
    assert len(message) < 400 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{}", ": line 2: no key 'context' in {}; expected a string that is not blank there"),
        ("[1]", ": line 2: '[1]' is not a JSON object"),
        ("{", ": line 2: not JSON"),
        ('{"question": "q", "question": "q", "context": "x"}', ": line 2: not JSON (key 'question' occurs twice"),
        ('{"question": "q", "context": "x", "answers": [{"text": "x", "start": Infinity}]}', ": line 2: not JSON (Inf"),
        ('{"id": "a", "context": "x"}', ": line 2: question 'a': no key 'question' in"),
        ('{"question": "q", "context": ""}', ": line 2: 'context' is ''; expected a string that is not blank"),
        (
            '{"question": "q", "context": "x", "answers": {}}',
            ": line 2: answers: no key 'text' in {}; expected a list there",
        ),
        ('{"question": "q", "context": "x", "answers": [{"text": "x", "begin": 0}]}', '"start": an integer}'),
        (
            '{"question": "q", "context": "x", "answers": [{"text": "y", "start": 0}]}',
            ": line 2: answer 'y' should start",
        ),
        ('{"question": "q", "context": "x", "answers": null}', ": line 2: 'answers' is None; expected a list"),
    ],
)
def test_a_line_that_is_not_of_the_form_is_told(line: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(f"{json.dumps(LINES[0])}\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_squad(path)
    assert f"{path}{says}" in str(caught.value) or says in str(caught.value)
    assert str(caught.value).startswith(f"{path}: line 2: ")


@pytest.mark.parametrize("name", ["d.tsv", "d", "d.gz", "d.txt.gz"])
def test_another_format_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"unknown data format '.*'; expected \.json, \.jsonl, or \.gz of one"):
        read_squad(tmp_path / name)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"d\.json: no such file"):
        read_squad(tmp_path / "d.json")


@pytest.mark.skipif(not SQUAD.is_dir(), reason=f"{SQUAD} is not on this machine")
@pytest.mark.parametrize(
    ("name", "questions", "impossible"),
    [("train-v1.1", 6936, 0), ("dev-v1.1", 1827, 0), ("dev-v2.0", 2017, 951), ("test-v2.0", 1297, 651)],
)
def test_squad_itself_is_read_whole(name: str, questions: int, impossible: int) -> None:
    examples = read_squad(SQUAD / f"{name}.json")
    assert len(examples) == questions
    assert [example.line for example in examples] == list(range(1, questions + 1))
    assert sum(example.label == () for example in examples) == impossible
    assert all(
        example.text_pair[answer.start :].startswith(answer.text) for example in examples for answer in example.label
    )
