"""Unigram tokenizers as in folders of XLM-RoBERTa and CamemBERT, written by transformers 4."""

import base64
import json
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

from conftest import WORDS
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from trained_tokenizers import learn_unigrams

# Made by sentencepiece 0.2.3 (normalization_rule_tsv) of eleven rules of its nmt_nfkc: the ligature fi, full-width 1, 2
# and A; no-break space, tab, line break and zero-width space to a space; e and an accent to one letter; soft hyphen to
# nothing; a square of katakana to four.
CHARSMAP = zlib.decompress(
    base64.b64decode(
        "eNol03mQ1nMYAPDnfcuYNRr85crUxhRJqehSsh1KpKISJenYSkMHal317r6qrS3Z5OigbXVsKqQc0b1dzLpFBx1eTZlBEYqEz8sfn9/z/L7f55"
        "n5zjzfb1SPiNoROTkRZ50RkYhIVUUyCmtEnC0vO8+ndlJRpFZYK8mVqJ1WPRnnSJcXqNVnKVUNaar0wogzxfM1zdTvNy7gYi7iEmpSi7XDkpH7"
        "/xHiUuqwYGvEZWI96nIFl3Ml9bmKBjSiIY25mqY04VquoTnNaEkLrqMVbWhNW64njxtoTzs60oFO3MhNdOZmutCVW+jGrfSgO7dzG73oyR305k"
        "760Je7uJt+3EN/7mUAgxjIEAYzlHyGM4wR3Mf92ZpZyRgpPsBoRvEgY3iYhxjHWB6hgMd4lCd4nAmMpzA7XNIUMZEnmcwkplBMCVOZzjRm8BSl"
        "PM0z2XnzLLN4nueYzQvMZQ4vMo/5vJSdN2W8TDmLWMgSFrOUCpbxCitYzmu8ykpeZxVv8CareZu3WMM7vMe7rMveOzawnk1spJLNuH6xhe1s4"
        "312ZPdWJ+ID8UOq+JiP+JRP+JzP2MkXfMWX7GYXe9nDN3zNfvZxkANk+JZDfMdhjp6biO/FI9m94kRkKhLxo/yH7B4/8TPHOM4v/MavnOB3/u"
        "Akp/iT0/zFP/wd/z2+xh5OXuQPj8qlkSkqz6RLM+m1mXRx/At49Zrz"
    )
)
SPECIAL = {
    "xlm-roberta": ["<s>", "<pad>", "</s>", "<unk>"],
    # fairseq's four, the unknown token of SentencePiece, then its own two.
    "camembert": ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"],
}
CLASSES = {"xlm-roberta": "XLMRobertaTokenizer", "camembert": "CamembertTokenizer"}
OTHERS = ["été", "naïve", "日本", "語", "🙂", "12", "A", "アパート", "fin", "-", ".", ","]
LEARNT = [f"{one} {other} {word}" for one, other in pairwise(OTHERS) for word in WORDS]


def learnt(family: str, splits: bool = True) -> Tokenizer:
    """A tokenizer over the words of the test data and a few of other scripts.

    `splits`: whether white space is dropped before the words are marked, as in most folders; else a space is a token.
    """
    special = SPECIAL[family]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Precompiled(CHARSMAP)
    marks = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), marks]) if splits else marks
    learn_unigrams(tokenizer, LEARNT, special, 300)
    if not splits:
        spaces = normalizers.Replace(Regex(" {2,}"), " ")
        tokenizer.normalizer = normalizers.Sequence([normalizers.Precompiled(CHARSMAP), spaces])
    document = json.loads(tokenizer.to_str())
    document["model"]["vocab"].append(["<mask>", 0.0])
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.decoder = decoders.Metaspace()
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    return tokenizer


def write(folder: Path, family: str, splits: bool = True) -> Tokenizer:
    """Write its files into a folder as transformers 4 saves them, and return the folder."""
    folder.mkdir(exist_ok=True)
    tokenizer = learnt(family, splits)
    tokenizer.save(str(folder / "tokenizer.json"))
    names: dict[str, Any] = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
    names |= {"pad_token": "<pad>", "unk_token": "<unk>"}
    mask = {"content": "<mask>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False}
    (folder / "special_tokens_map.json").write_text(json.dumps({**names, "mask_token": mask}))
    settings = {"model_max_length": 512, "tokenizer_class": CLASSES[family], "mask_token": "<mask>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**names, **settings}))
    return tokenizer
