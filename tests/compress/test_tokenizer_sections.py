"""Sections of tokenizer.json that transformers ignores have no effect; those that break long texts are refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from family_checkpoints import make_whole, unigrams

from edgebert.cli import main
from edgebert.compress import checkpoint
from edgebert.compress.neutral_texts import OTHERS, write_texts
from edgebert.compress.tokenizer_file import check_first_segment, say_segments
from edgebert.errors import CheckpointError

PADDING = {"strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0}
PADDING |= {"pad_type_id": 1, "pad_token": "[PAD]"}
TRUNCATION = {"direction": "Right", "max_length": 5, "strategy": "OnlySecond", "stride": 4}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_whole(tmp_path_factory.mktemp("bert"), "bert", num_labels=3, num_hidden_layers=1)


@pytest.fixture
def edited(bert: Path, tmp_path: Path) -> Callable[..., Path]:
    """The folder with other entries in tokenizer.json, and tokens for its template."""

    def edit(single: list[Any] | None = None, pair: list[Any] | None = None, **entries: Any) -> Path:
        folder = Path(shutil.copytree(bert, tmp_path / "model"))
        document = json.loads((folder / "tokenizer.json").read_text()) | entries
        for name, parts in (("single", single), ("pair", pair)):
            if parts is not None:
                document["post_processor"][name] = [part(name) for part, name in parts]
        document["post_processor"]["special_tokens"]["the"] = {"id": "the", "ids": [5], "tokens": ["the"]}
        (folder / "tokenizer.json").write_text(json.dumps(document))
        return folder

    return edit


def special(name: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": 0}}


def text(name: str) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": 0}}


START, END = (special, "[CLS]"), (special, "[SEP]")


@pytest.mark.parametrize("direction", ["Left", "Right"])
def test_padding_of_the_file_is_none_of_a_texts_segments(direction: str, edited: Callable[..., Path]) -> None:
    folder = edited(padding=PADDING | {"direction": direction})
    tokenizer, config = checkpoint.load_tokenizer(folder), checkpoint.load_config(folder)
    check_first_segment(folder, tokenizer, config)
    config.type_vocab_size = 1
    say_segments(folder, tokenizer, config, 1)
    with pytest.raises(CheckpointError, match="puts a pair into segment 1"):
        say_segments(folder, tokenizer, config, 2)


def test_padding_and_truncation_of_the_file_do_not_hide_its_ends(edited: Callable[..., Path]) -> None:
    single = [(special, "the"), (text, "A"), END]
    cut = TRUNCATION | {"max_length": 2, "stride": 0, "strategy": "LongestFirst"}
    folder = edited(single=single, padding=PADDING | {"direction": "Left"}, truncation=cut)
    with pytest.raises(CheckpointError, match=r"cls_token is '\[CLS\]', but the post_processor of .* puts 'the' there"):
        checkpoint.load_tokenizer(folder)


def test_a_truncation_of_the_file_does_not_cut_our_own_sentences(tmp_path: Path) -> None:
    import transformers

    words = sorted({word for sentence in OTHERS for word in sentence.split()})
    pieces = [*unigrams(["<s>", "<pad>", "</s>", "<unk>"])[:-1], *((f"▁{word}", -3.0) for word in words)]
    transformers.XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)]).save_pretrained(tmp_path)
    document = json.loads((tmp_path / "tokenizer.json").read_text())
    written = []
    for section in (None, TRUNCATION):
        (tmp_path / "tokenizer.json").write_text(json.dumps(document | {"truncation": section}))
        write_texts(tmp_path / "texts.jsonl", tmp_path, pairs=False)
        written.append((tmp_path / "texts.jsonl").read_text(encoding="utf-8"))
    assert written[0] == written[1]
    assert OTHERS[0] in written[0]


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"single": [START, (text, "A"), END, (text, "A"), END]}, "the post_processor's 'single' puts a text"),
        ({"pair": [START, (text, "A"), END, (text, "B"), (text, "B")]}, "the post_processor's 'pair' puts a text"),
    ],
    ids=["single", "pair"],
)
def test_a_text_that_is_put_there_twice_is_refused_before_any_work(
    parts: dict[str, Any], says: str, edited: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(edited(**parts)), "--out", str(tmp_path / "bundle"), "--precision", "fp32"]
    assert main([*arguments, *(["--pairs"] if "pair" in parts else [])]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "take-over" not in said


def test_a_template_of_another_number_of_texts_does_not_matter(edited: Callable[..., Path]) -> None:
    folder = edited(pair=[START, (text, "A"), END, (text, "A")])
    say_segments(folder, checkpoint.load_tokenizer(folder), checkpoint.load_config(folder), 1)
