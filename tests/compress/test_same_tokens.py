"""The message about a tokenizer's parts is printed only if transformers gives some text other ids."""

import json
import math
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from family_checkpoints import BERT_LIKE, FAMILIES, PIECES, UNIGRAM, make_tokenizer

from edgebert.compress import checkpoint

Document = dict[str, Any]
TEXTS = ["e-mail, the story!", "So Lovely [SEP] é </s>", "good-film  bad [sep] <mask> x", "日本 film", "b" * 120]


def read(folder: Path, family: str, edit: Callable[[Document], None]) -> tuple[list[Any], list[Any]]:
    """Ids and segments of texts and pairs by the tokenizer that the bundle gets, and by transformers."""
    make_tokenizer(family, PIECES).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": family}))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("add_prefix_space", None)  # what is stated must be what the file has
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    document = json.loads((folder / "tokenizer.json").read_text())
    edit(document)
    (folder / "tokenizer.json").write_text(json.dumps(document))
    both = checkpoint.load_tokenizer(folder), transformers.AutoTokenizer.from_pretrained(folder)
    pairs = [(text, second) for text in TEXTS for second in (None, "the film")]
    ours, theirs = ([dict(tokenizer(*pair)) for pair in pairs] for tokenizer in both)
    return ours, theirs


def bert_processing(document: Document) -> None:
    document["post_processor"] = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}


def stated_accents(document: Document) -> None:
    document["normalizer"]["strip_accents"] = True


def one_in_a_sequence(document: Document) -> None:
    document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [document["pre_tokenizer"]]}
    if document["normalizer"]:
        document["normalizer"] = {"type": "Sequence", "normalizers": [document["normalizer"]]}


def another_special_token(document: Document) -> None:
    document["post_processor"]["special_tokens"]["[UNK]"] = {"id": "[UNK]", "ids": [1], "tokens": ["[UNK]"]}


def no_added_tokens(document: Document) -> None:
    document["added_tokens"] = []


def not_special(document: Document) -> None:
    for token in document["added_tokens"]:
        token["special"] = False


def no_marks_of_words(document: Document) -> None:
    document["model"] |= {"continuing_subword_prefix": None, "end_of_word_suffix": None}


def an_unknown_token(document: Document) -> None:
    document["model"] |= {"unk_token": "<unk>", "fuse_unk": True}


def other_offsets(document: Document) -> None:
    document["pre_tokenizer"]["trim_offsets"] = False
    document["post_processor"] |= {"trim_offsets": False, "add_prefix_space": True}


def a_template(document: Document) -> None:
    names = {"<s>": 0, "</s>": 2}
    special = {name: {"SpecialToken": {"id": name, "type_id": 0}} for name in names}
    texts = {name: {"Sequence": {"id": name, "type_id": 0}} for name in "AB"}
    single = [special["<s>"], texts["A"], special["</s>"]]
    document["post_processor"] = {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, special["</s>"], texts["B"], special["</s>"]],
        "special_tokens": {name: {"id": name, "ids": [at], "tokens": [name]} for name, at in names.items()},
    }


def scores_of_float32(document: Document) -> None:
    """As SentencePiece has them; tokenizers reads some of them one unit in the last place beside (findings/)."""
    scores = array("f", [-math.log(rank + 10.0) for rank in range(len(document["model"]["vocab"]))])
    document["model"]["vocab"] = [
        [piece, score] for (piece, _), score in zip(document["model"]["vocab"], scores, strict=True)
    ]


OF_BERT = [bert_processing, stated_accents, another_special_token]
OF_ROBERTA = [no_marks_of_words, an_unknown_token, other_offsets, a_template]
OF_ALL = [one_in_a_sequence, no_added_tokens, not_special]
# CamemBERT's settings add tokens (`<s>NOTUSED`), which the file then lacks; MPNet's mask takes the space before it.
ADDED_BY_CLASS = (("camembert", no_added_tokens), ("mpnet", no_added_tokens))
SAME = [
    *((family, edit) for family in BERT_LIKE for edit in OF_BERT),
    *(("roberta", edit) for edit in OF_ROBERTA),
    *((family, scores_of_float32) for family in UNIGRAM),
    *((family, edit) for family in FAMILIES for edit in OF_ALL if (family, edit) not in ADDED_BY_CLASS),
]


@pytest.mark.parametrize(("family", "edit"), SAME)
def test_nothing_is_said_of_what_changes_no_id(
    family: str, edit: Callable[[Document], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = read(tmp_path, family, edit)
    assert ours == theirs
    assert "from what transformers" not in caplog.text


def longer_words(document: Document) -> None:
    document["model"]["max_input_chars_per_word"] = 200


def no_post_processor(document: Document) -> None:
    document["post_processor"] = None


def a_space_before(document: Document) -> None:
    document["pre_tokenizer"]["add_prefix_space"] = True


OTHER = [
    *((family, longer_words, "model") for family in BERT_LIKE),
    # transformers has no class of its own for ModernBERT's tokenizer, and takes what the file has.
    *((family, no_post_processor, "post-processor") for family in FAMILIES if family != "modernbert"),
    ("roberta", a_space_before, "pre-tokenizer"),
]


@pytest.mark.parametrize(("family", "edit", "part"), OTHER)
def test_a_part_that_changes_ids_is_named(
    family: str, edit: Callable[[Document], None], part: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = read(tmp_path, family, edit)
    assert f"{part} of the file differs from what transformers" in caplog.text

    assert ours != theirs
