"""A checkpoint's tokenizer gives the ids of its file, truncates where it says, and has a row for every token."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from family_checkpoints import FAMILIES, make_tokenizer, make_whole
from tokenizers import Tokenizer

from edgebert.cli import main
from edgebert.compress import checkpoint
from edgebert.compress.tokenizer_file import check_first_segment, check_vocabulary
from edgebert.errors import CheckpointError
from edgebert.runtime.encode import TextEncoder

TEXTS = ["e-mail, the story!", "So Lovely", "good-film bad"]
Document = dict[str, Any]


def split_at_spaces(document: Document) -> None:
    document["pre_tokenizer"] = {"type": "WhitespaceSplit"}


def no_prefix(document: Document) -> None:
    document["model"]["continuing_subword_prefix"] = ""


def dashes_to_spaces(document: Document) -> None:
    dashes = {"type": "Replace", "pattern": {"String": "-"}, "content": " "}
    document["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, dashes]}


def no_separator(document: Document) -> None:
    first = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    parts = [{"Sequence": {"id": name, "type_id": at}} for at, name in enumerate("AB")]
    special = {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}
    template = {"single": [first, parts[0]], "pair": [first, *parts], "special_tokens": special}
    document["post_processor"] = {"type": "TemplateProcessing", **template}


@pytest.mark.parametrize("edit", [split_at_spaces, no_prefix, dashes_to_spaces, no_separator])
@pytest.mark.parametrize("family", ["bert", "electra"])
def test_ids_are_those_of_the_file(
    family: str, edit: Callable[[Document], None], whole_folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(whole_folders[family], tmp_path / "model"))
    document = json.loads((folder / "tokenizer.json").read_text())
    edit(document)
    (folder / "tokenizer.json").write_text(json.dumps(document))
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert [own.encode(text).ids for text in TEXTS] != [
        Tokenizer.from_file(str(whole_folders[family] / "tokenizer.json")).encode(text).ids for text in TEXTS
    ]
    for source in (folder, tmp_path / "saved"):
        tokenizer = checkpoint.load_tokenizer(source)
        assert [tokenizer(text)["input_ids"] for text in TEXTS] == [own.encode(text).ids for text in TEXTS]
        tokenizer.save_pretrained(tmp_path / "saved")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_class_that_reads_its_file_rightly_is_kept(family: str, whole_folders: dict[str, Path]) -> None:
    expected = type(transformers.AutoTokenizer.from_pretrained(whole_folders[family]))
    if family == "albert":
        # transformers 5 gives a pair no segments by this class; the general one notes that both have the first.
        expected = transformers.PreTrainedTokenizerFast
    assert type(checkpoint.load_tokenizer(whole_folders[family])) is expected


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("side", ["left", "right"])
def test_texts_are_cut_where_the_tokenizer_says(family: str, side: str, tmp_path: Path) -> None:
    tokenizer = make_tokenizer(family)
    tokenizer.truncation_side = side
    tokenizer.save_pretrained(tmp_path)
    checkpoint.load_tokenizer(tmp_path).backend_tokenizer.save(str(tmp_path / "written.json"))
    encoder = TextEncoder(tmp_path / "written.json", 16)
    long, short = "good film " * 20 + "bad meal", "so cold"
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    cut: dict[str, Any] = {"truncation": True, "max_length": 16}
    assert encoder.encode(long).ids == theirs(long, **cut)["input_ids"]
    assert encoder.encode(short).ids == theirs(short, **cut)["input_ids"]
    for pair in ((long, short), (short, long), (long, long)):
        assert encoder.encode_pair(*pair).ids == theirs(*pair, **cut)["input_ids"]


@pytest.mark.parametrize("direction", ["left", "right"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_tokenizers_side_counts_not_what_its_file_was_left_at(side: str, direction: str, tmp_path: Path) -> None:
    make_tokenizer("bert").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, "truncation_side": side}))
    file = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    file.enable_truncation(32, direction=direction)
    file.save(str(tmp_path / "tokenizer.json"))
    checkpoint.load_tokenizer(tmp_path).backend_tokenizer.save(str(tmp_path / "written.json"))
    theirs, text = transformers.AutoTokenizer.from_pretrained(tmp_path), "good film " * 20 + "bad meal"
    assert theirs.truncation_side == side
    ids = TextEncoder(tmp_path / "written.json", 16).encode(text).ids
    assert ids == theirs(text, truncation=True, max_length=16)["input_ids"]


def test_a_tokenizer_without_a_fast_form_is_refused_by_class(classifier_checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(classifier_checkpoint, tmp_path / "model"))
    (folder / "tokenizer.json").unlink()
    config = {"word_tokenizer_type": "basic", "subword_tokenizer_type": "character"}
    config["tokenizer_class"] = "BertJapaneseTokenizer"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="BertJapaneseTokenizer runs in Python only; save a tokenizer"):
        checkpoint.load_tokenizer(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_token_without_a_row_is_named(family: str, tmp_path: Path) -> None:
    folder = make_whole(tmp_path, family)
    rows = checkpoint.load_config(folder).vocab_size
    check_vocabulary(folder, checkpoint.load_tokenizer(folder), rows)
    tokenizer = make_tokenizer(family) if family == "roberta" else checkpoint.load_tokenizer(folder)
    tokenizer.add_tokens(["@user"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(CheckpointError, match=rf"'@user' has the id {rows}, but the word table has {rows} rows"):
        check_vocabulary(folder, checkpoint.load_tokenizer(folder), rows)


class Panic(BaseException):
    """pyo3's error for a panic in Rust code is not an Exception either."""


@pytest.mark.parametrize("reader", ["transformers.AutoTokenizer.from_pretrained", "tokenizers.Tokenizer.from_file"])
def test_a_panic_while_a_tokenizer_opens_is_told_in_one_line(
    reader: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def panic(*args: object, **settings: object) -> None:
        raise Panic("index out of bounds\nnote: run with RUST_BACKTRACE=1")

    monkeypatch.setattr(f"edgebert.compress.tokenizer_file.{reader.removeprefix('tokenizers.')}", panic)
    with pytest.raises(CheckpointError, match=r"\(index out of bounds\); save the tokenizer again"):
        checkpoint.load_tokenizer(folders["bert"])


def test_an_interrupt_while_a_tokenizer_opens_stays_one(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgebert.compress.tokenizer_file.transformers.AutoTokenizer.from_pretrained", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.load_tokenizer(folders["bert"])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tokenizer_that_splits_special_tokens_is_refused_by_the_entry(family: str, tmp_path: Path) -> None:
    tokenizer = make_tokenizer(family)
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"split_special_tokens": True}))
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json: split_special_tokens is true, but a bundle"):
        checkpoint.load_tokenizer(tmp_path)


def test_a_tokenizer_that_leaves_merges_out_at_random_is_refused_by_the_entry(
    data_dir: Path, recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_whole(tmp_path / "model", "roberta")
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    for dropout in (0.0, 0.5):
        document["model"]["dropout"] = dropout
        path.write_text(json.dumps(document))
        if not dropout:
            checkpoint.load_tokenizer(folder)
    command = ["export", str(recipe_file), "--data-dir", str(data_dir), "--model", str(folder)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{path}: model.dropout is 0.5, so the same text gets different tokens at every call; set it to null" in line


def test_a_normalizer_that_lower_cases_already_gets_no_second_lowercase(tmp_path: Path) -> None:
    make_tokenizer("bert").save_pretrained(tmp_path)
    (tmp_path / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    document = json.loads((tmp_path / "tokenizer.json").read_text())
    letter = {"type": "Replace", "pattern": {"String": "A"}, "content": " film "}
    document["normalizer"] = {"type": "Sequence", "normalizers": [letter, {"type": "Lowercase"}]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    plain = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert checkpoint.load_tokenizer(tmp_path, True)("A good").input_ids == plain.encode("film good").ids
    document["normalizer"] = letter
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    assert checkpoint.load_tokenizer(tmp_path, True)("A GOOD").input_ids == plain.encode("a good").ids
    # Where modules.json does not lead to the file, its entry does not count.
    assert checkpoint.load_tokenizer(tmp_path)("A GOOD").input_ids != plain.encode("a good").ids


def state(folder: Path, name: str, **entries: Any) -> None:
    found = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(found | entries))


@pytest.mark.parametrize(("entry", "here"), [("cls_token", "[CLS]"), ("sep_token", "[SEP]")])
def test_another_token_around_a_text_than_the_file_puts_there_is_refused(entry: str, here: str, tmp_path: Path) -> None:
    folder = make_whole(tmp_path / "model", "bert")
    state(folder, "tokenizer_config.json", **{entry: "[MASK]"})
    with pytest.raises(CheckpointError) as refusal:
        checkpoint.load_tokenizer(folder)
    assert str(refusal.value) == (
        f"{folder / 'tokenizer_config.json'}: {entry} is '[MASK]', but the post_processor of tokenizer.json puts "
        f"'{here}' there; make them agree, as the model was trained"
    )


@pytest.mark.parametrize(
    ("family", "entry", "stated", "has"),
    [
        ("roberta", "add_prefix_space", True, "the pre_tokenizer of tokenizer.json has false"),
        ("xlm-roberta", "add_prefix_space", False, "the pre_tokenizer of tokenizer.json has true"),
        ("bert", "unk_token", "film", 'the model of tokenizer.json has "[UNK]"'),
    ],
)
def test_an_entry_that_the_file_contradicts_is_refused(
    family: str, entry: str, stated: object, has: str, tmp_path: Path
) -> None:
    folder = make_whole(tmp_path / "model", family)
    checkpoint.load_tokenizer(folder)
    state(folder, "tokenizer_config.json", **{entry: stated})
    with pytest.raises(CheckpointError) as refusal:
        checkpoint.load_tokenizer(folder)
    assert str(refusal.value) == (
        f"{folder / 'tokenizer_config.json'}: {entry} is {json.dumps(stated)}, but {has}; make them agree, as the "
        "model was trained"
    )


def test_a_token_that_only_the_settings_add_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_whole(tmp_path / "model", "bert")
    state(folder, "tokenizer_config.json", extra_special_tokens=["<city>"], additional_special_tokens=["<city>"])
    checkpoint.load_tokenizer(folder)
    assert "and not '<city>', which tokenizer_config.json adds: save the tokenizer again to have it" in (
        capsys.readouterr().err
    )


def test_a_single_text_in_the_second_segment_needs_the_plain_graph(tmp_path: Path) -> None:
    folder = make_whole(tmp_path / "model", "bert")
    document = json.loads((folder / "tokenizer.json").read_text())
    assert document["post_processor"]["type"] == "TemplateProcessing"
    for piece in document["post_processor"]["single"]:
        next(iter(piece.values()))["type_id"] = 1
    (folder / "tokenizer.json").write_text(json.dumps(document))
    tokenizer, config = checkpoint.load_tokenizer(folder), checkpoint.load_config(folder)
    with pytest.raises(CheckpointError, match="post_processor gives a single text type_id 1"):
        check_first_segment(folder, tokenizer, config)
    config.model_type = "deberta"  # its graph is transformers' own, which reads segments
    check_first_segment(folder, tokenizer, config)
