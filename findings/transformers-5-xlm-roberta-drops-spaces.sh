#!/usr/bin/env bash
# For XLM-RoBERTa and CamemBERT, transformers 5 builds its own pre-tokenizer instead of the one in tokenizer.json.
#
# This pre-tokenizer removes white space before it marks words. A file that only marks words (Metaspace) has a token for
# a space at the end of a text and for a second space between words. Normalizers of the file other than Precompiled are
# dropped too. There is no warning that the ids of such texts differ from those of the file.
#
# Versions: transformers 5.23.0, tokenizers 0.23.3; Python 3.11, Linux, x86-64.
# Seen:
#   'a  film ': the file ['▁a', '▁', '▁film', '▁'], XLMRobertaTokenizer ['▁a', '▁film']
#   'A Film': the file, which lowers case, ['▁a', '▁film'], XLMRobertaTokenizer ['▁', '<unk>', '▁', '<unk>', 'ilm']
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import json
import pathlib

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

words = [("▁a", -2.0), ("▁film", -2.0), ("ilm", -4.0), ("▁", -3.0), ("a", -5.0), ("f", -5.0)]
special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
folder = pathlib.Path("model")
folder.mkdir()
(folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "XLMRobertaTokenizer"}))


def tokens(text, normalizer=None):
    file = Tokenizer(models.Unigram([*special, *words, ("<mask>", 0.0)], unk_id=3))
    file.pre_tokenizer = pre_tokenizers.Metaspace()
    if normalizer is not None:
        file.normalizer = normalizer
    file.save(str(folder / "tokenizer.json"))
    built = AutoTokenizer.from_pretrained(folder)
    return file.encode(text, add_special_tokens=False).tokens, built.convert_ids_to_tokens(
        built(text, add_special_tokens=False)["input_ids"]
    ), type(built).__name__


spaced, theirs, name = tokens("a  film ")
print(f"'a  film ': the file {spaced}, {name} {theirs}")
lower, kept, name = tokens("A Film", normalizers.Lowercase())
print(f"'A Film': the file, which lowers case, {lower}, {name} {kept}")
raise SystemExit(not (spaced != theirs and lower != kept))
PROGRAM
