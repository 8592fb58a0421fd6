"""All common spellings of a head's tags, compared with the entities of transformers' pipeline."""

from pathlib import Path

import pytest
import torch
import transformers
from family_checkpoints import make_tokenizer, make_whole

import edgebert
from edgebert.compress.head_tags import check_scheme, scheme_of, written_plainly
from edgebert.errors import DataError

WORDS = ("good", "story", "film", "meal")


@pytest.mark.parametrize(
    ("head", "tags", "scheme"),
    [
        (["O", "B-a", "M-a", "E-a", "S-a"], ["O", "B-a", "I-a", "E-a", "S-a"], "BIOES"),
        (["O", "B_a", "M_a", "E_a", "W_a"], ["O", "B-a", "I-a", "E-a", "S-a"], "BIOES"),
        (["O", "B", "M", "E", "S"], ["O", "B-ENTITY", "I-ENTITY", "E-ENTITY", "S-ENTITY"], "BIOES"),
        (["O", "b-per", "i-per"], ["O", "B-per", "I-per"], "BIO"),
        (["o", "b-per", "i-per"], ["O", "B-per", "I-per"], "BIO"),
        (["O", "PER-B", "PER-I"], ["O", "B-PER", "I-PER"], "BIO"),
        (["O", "B-", "I-"], ["O", "B-ENTITY", "I-ENTITY"], "BIO"),
        # These look like prefixes but are not.
        (["O", "b-per", "loc"], ["O", "I-b-per", "I-loc"], "IOB1"),
    ],
)
def test_spellings(head: list[str], tags: list[str], scheme: str | None) -> None:
    assert written_plainly(head, {}) == tags
    assert scheme_of(tags) == scheme


@pytest.mark.parametrize("odd", ["P-PER", "M-PER", "W-PER"])
def test_a_prefix_that_no_scheme_has_is_refused_by_name(odd: str) -> None:
    head = ["O", "B-PER", "I-PER", odd]
    with pytest.raises(DataError, match=f"the checkpoint's head has '{odd}', expected BIO tags"):
        check_scheme(written_plainly(head, {}), head, "BIO")


def make_lookup(folder: Path, tags: list[str], of_words: dict[str, str]) -> Path:
    """A tagger that gives each word its own tag, independent of its neighbours."""
    names = {"id2label": dict(enumerate(tags)), "label2id": {tag: at for at, tag in enumerate(tags)}}
    make_whole(folder, "bert", "TokenClassification", num_hidden_layers=1, **names)
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    vocabulary = make_tokenizer("bert").get_vocab()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 1e-4)
        for name, parameter in model.named_parameters():
            if name.endswith("LayerNorm.weight"):
                parameter.fill_(1)
        words = model.bert.embeddings.word_embeddings.weight
        words[:, 0] = 1
        for word, tag in of_words.items():
            words[vocabulary[word]] = 0
            words[vocabulary[word], tags.index(tag)] = 1
        for at in range(len(tags)):
            model.classifier.weight[at, at] = 2
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (["O", "B-PER", "M-PER", "E-PER", "S-PER"], "tags: BIOES"),
        (["O", "B-PER", "I-PER", "L-PER", "U-PER"], "tags: BIOES"),
        (["O", "b-PER", "i-PER"], "tags: BIO,"),
        (["O", "PER-B", "PER-I"], "tags: BIO,"),
    ],
    ids=["BMES", "BILOU", "small", "suffix"],
)
def test_entities_of_a_checkpoint(
    tags: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    first, inside, *ends = tags[1:]
    last, alone = ends or (inside, first)
    make_lookup(Path("model"), tags, dict(zip(WORDS, (first, inside, last, alone), strict=True)))
    Path("texts.txt").write_text("a good story film\nthe meal was cold\n")
    with caplog.at_level("INFO"):
        exported = edgebert.export("model", out="bundle", text="texts.txt", precision="fp32")
    assert any(record.getMessage().startswith(said) for record in caplog.records)
    model = edgebert.load(exported.bundle)
    for text, expected in (
        ("the good story film was a meal", ["good story film", "meal"]),
        ("good film and good story story film", ["good film", "good story story film"]),
        ("so cold", []),
    ):
        found = model(text).entities
        assert [each.text for each in found] == expected
        assert {each.label for each in found} <= {"PER"}


def test_a_head_whose_entities_begin_with_i_is_told_by_the_sentences_of_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As the tags of CoNLL-2003's own files: IOB1 has the same tags as BIO."""
    monkeypatch.chdir(tmp_path)
    tags = ["O", "B-PER", "I-PER"]
    # The tokenizer knows no names: the pieces that they begin with stand for them.
    make_lookup(Path("model"), tags, {"s": "I-PER", "j": "I-PER"})
    with caplog.at_level("INFO"):
        edgebert.export("model", out="bundle", precision="fp32")
    assert any("the most likely tags break BIO in" in record.getMessage() for record in caplog.records)
    with caplog.at_level("INFO"):
        caplog.clear()
        edgebert.export("model", out="again", precision="fp32", settings={"head.scheme": "IOB1"})
    assert not any("break" in record.getMessage() for record in caplog.records)
    assert not any(record.getMessage().startswith("tags: ") for record in caplog.records)
