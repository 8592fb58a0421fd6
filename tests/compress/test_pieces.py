"""Tokenizers cut to a corpus: texts have the same tokens, no text becomes unknown, special tokens are kept."""

import json
import random
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from trained_tokenizers import learn_fallback, learn_unigrams, learn_wordpieces

from edgebert.compress.pieces import Document, always_kept, check_supported, cut, taken_along
from edgebert.errors import SettingsError

SYLLABLES = ["ba", "na", "to", "mi", "ka", "re", "lu", "so", "é", "ü", "日", "本", "🙂", "a", "i"]
KINDS = ("wordpiece", "bytes", "unigram", "fallback")


def words(draw: random.Random, count: int) -> list[str]:
    return ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(count)]


def texts(seed: int, count: int) -> list[str]:
    """Sentences over few words, some of them frequent."""
    draw = random.Random(seed)
    known = words(draw, 60)
    return [" ".join(draw.choices(known, weights=range(1, 61), k=draw.randint(1, 12))) for _ in range(count)]


def trained(kind: str, seed: int) -> Tokenizer:
    """A tokenizer trained on text, with many more tokens than a small corpus contains."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        learn_wordpieces(tokenizer, texts(seed, 400), special, 260)
    elif kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        learn_unigrams(tokenizer, texts(seed, 400), special, 260)
    elif kind == "fallback":
        tokenizer = learn_fallback(texts(seed, 400), special, 520)
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=520,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts(seed, 400), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    pairs = [(token, tokenizer.token_to_id(token)) for token in ("</s>", "<s>")]
    tokenizer.post_processor = processors.RobertaProcessing(*pairs)
    return tokenizer


def cut_to(tokenizer: Tokenizer, corpus: list[str], least: int = 1) -> tuple[Tokenizer, list[int]]:
    """Cut the tokenizer to tokens with at least this many occurrences; also return the old ids of its tokens."""
    document = json.loads(tokenizer.to_str())
    check_supported(document)
    found = [number for text in corpus for number in tokenizer.encode(text).ids]
    needed = always_kept(document) | {number for number in found if found.count(number) >= least}
    along = taken_along(document)
    kept = sorted({one for number in needed for one in along(number)})
    return Tokenizer.from_str(json.dumps(cut(document, kept))), kept


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_a_corpus_is_split_as_before_and_the_tokenizer_is_smaller(kind: str, seed: int) -> None:
    whole = trained(kind, seed)
    corpus = texts(seed + 100, 12) + texts(seed, 6)
    small, kept = cut_to(whole, corpus)
    assert small.get_vocab_size() == len(kept) < whole.get_vocab_size()
    for text in corpus:
        for pair in (None, corpus[0]):
            old, new = whole.encode(text, pair), small.encode(text, pair)
            assert new.tokens == old.tokens
            assert [kept[number] for number in new.ids] == old.ids
            assert (new.type_ids, new.offsets) == (old.type_ids, old.offsets)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("least", [1, 4, 1000])
def test_no_text_becomes_unknown_and_its_characters_stay(kind: str, seed: int, least: int) -> None:
    whole = trained(kind, seed)
    small, _ = cut_to(whole, texts(seed, 6), least)
    draw = random.Random(seed)
    changed = 0
    for text in [*words(draw, 200), "aé本🙂i", "日本", "naïve 🙂🙂"]:
        old, new = whole.encode(text, add_special_tokens=False), small.encode(text, add_special_tokens=False)
        if "<unk>" in old.tokens:
            continue
        assert "<unk>" not in new.tokens
        spelt = ["".join(token.removeprefix("##") for token in encoding.tokens) for encoding in (old, new)]
        assert spelt[0] == spelt[1]
        changed += old.tokens != new.tokens
    assert changed, "nothing was split another way: the test would prove nothing"
    if kind == "bytes":
        for text in ("\u0000 ¿qué? 한국어 🏳️‍🌈", "\ud7ff\U0010ffff"):
            assert small.decode(small.encode(text).ids) == whole.decode(whole.encode(text).ids) == text


def wordpiece(vocabulary: list[str]) -> Tokenizer:
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([piece for piece in vocabulary if piece.startswith("[")])
    return tokenizer


def test_pieces_of_characters_that_are_never_alone_stay() -> None:
    vocabulary = ["[UNK]", "a", "##a", "ab", "##ba", "ac", "##c", "da", "aa", "##aa"]
    document = json.loads(wordpiece(vocabulary).to_str())
    kept = {vocabulary[number] for number in always_kept(document)}
    # "##b" and "d" are no pieces, so what holds b inside a word or starts with d stays; "ac" is a and ##c.
    assert kept == {"[UNK]", "a", "##a", "##c", "ab", "##ba", "da"}


def test_special_tokens_stay_and_single_characters_but_no_longer_pieces() -> None:
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "zebra",
        "z",
        "##z",
        "e",
        "##e",
        "##bra",
        "b",
        "##b",
        "r",
        "##r",
        "a",
        "##a",
    ]
    document = json.loads(wordpiece(vocabulary).to_str())
    assert {vocabulary[number] for number in always_kept(document)} == {*vocabulary} - {"zebra", "##bra"}


def test_a_piece_of_bytes_takes_along_what_it_is_merged_from() -> None:
    pairs = [("a", "b"), ("c", "d"), ("ab", "cd"), ("abcd", "e"), ("b", "c"), ("d", "e")]
    vocabulary = ["<unk>", *"abcde", *("".join(pair) for pair in pairs)]
    model = models.BPE({piece: number for number, piece in enumerate(vocabulary)}, pairs)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(["<unk>"])
    document = json.loads(tokenizer.to_str())
    along = taken_along(document)
    assert {vocabulary[number] for number in along(vocabulary.index("abcde"))} == {
        *"abcde",
        "ab",
        "cd",
        "abcd",
        "abcde",
    }
    assert {vocabulary[number] for number in along(vocabulary.index("bc"))} == {"b", "c", "bc"}
    kept = sorted(always_kept(document) | along(vocabulary.index("abcd")))
    smaller = cut(document, kept)
    assert [vocabulary[number] for number in kept] == list(smaller["model"]["vocab"])
    assert smaller["model"]["merges"] == [["a", "b"], ["c", "d"], ["ab", "cd"]]
    assert Tokenizer.from_str(json.dumps(smaller)).encode("abcde").tokens == ["abcd", "e"]


TEMPLATE = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 7), ("[SEP]", 8)]
)
PROCESSORS = {
    "template": TEMPLATE,
    "bert": processors.BertProcessing(("[SEP]", 8), ("[CLS]", 7)),
    "roberta": processors.RobertaProcessing(("[SEP]", 8), ("[CLS]", 7)),
    "sequence": processors.Sequence([processors.ByteLevel(), TEMPLATE]),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_ids_of_special_tokens_follow_wherever_they_stand(name: str) -> None:
    vocabulary = ["zebra", "yak", "z", "##e", "e", "##z", "[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    tokenizer = wordpiece(vocabulary)
    tokenizer.add_special_tokens([AddedToken("[ENTITY]", special=True)])
    tokenizer.add_tokens([AddedToken("edge-bert")])
    tokenizer.post_processor = PROCESSORS[name]
    tokenizer.enable_padding(pad_id=6, pad_token="[PAD]", length=8)
    document = json.loads(tokenizer.to_str())
    kept = sorted({*always_kept(document), 0} - {1})
    assert [tokenizer.id_to_token(number) for number in kept if number >= 6][:4] == ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    small = Tokenizer.from_str(json.dumps(cut(document, kept)))
    assert small.token_to_id("[PAD]") < 6
    old, new = (each.encode("zebra edge-bert [ENTITY] ez", "yak") for each in (tokenizer, small))
    assert old.tokens[:5] == ["[CLS]", "zebra", "edge-bert", "[ENTITY]", "e"]
    assert new.tokens[:5] == old.tokens[:5]
    assert [small.token_to_id(token) for token in new.tokens] == new.ids
    assert new.special_tokens_mask[:5] == old.special_tokens_mask[:5]
    short = small.encode("zebra")
    assert short.tokens == ["[CLS]", "zebra", "[SEP]", *["[PAD]"] * 5]
    assert short.ids == [small.token_to_id(token) for token in short.tokens]


def document_of(model: Any, pre_tokenizer: Any = None) -> Document:
    tokenizer = Tokenizer(model)
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    document: Document = json.loads(tokenizer.to_str())
    return document


BYTES = pre_tokenizers.ByteLevel()
REFUSED = [
    (models.WordLevel({"a": 0}, "a"), None, "a WordLevel tokenizer"),
    (models.BPE({"a": 0}, []), pre_tokenizers.Metaspace(), "a BPE over characters tokenizer"),
    (models.BPE({"a": 0}, [], dropout=0.1), BYTES, "a byte-level BPE with dropout tokenizer"),
    (
        models.BPE({"a</w>": 0}, [], end_of_word_suffix="</w>"),
        BYTES,
        "a byte-level BPE with end_of_word_suffix tokenizer",
    ),
    (models.BPE({"a": 0}, [], byte_fallback=True), BYTES, "a byte-level BPE with byte_fallback tokenizer"),
    (models.BPE({"a": 0}, [], ignore_merges=True), BYTES, "a byte-level BPE with ignore_merges tokenizer"),
]


@pytest.mark.parametrize(("model", "pre_tokenizer", "says"), REFUSED, ids=[says for *_, says in REFUSED])
def test_other_tokenizers_are_refused_by_name(model: Any, pre_tokenizer: Any, says: str) -> None:
    with pytest.raises(
        SettingsError, match=rf"{says} cannot be cut, only WordPiece, byte-level BPE, BPE over characters with"
    ) as caught:
        check_supported(document_of(model, pre_tokenizer))
    assert caught.value.exit_code == 2


def test_byte_level_pre_tokenizers_may_be_one_of_several() -> None:
    several = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), BYTES])
    check_supported(document_of(models.BPE({"a": 0}, []), several))
