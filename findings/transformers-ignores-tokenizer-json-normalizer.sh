#!/usr/bin/env bash
# transformers 5 ignores the normalizer of tokenizer.json and builds one from tokenizer_config.json and its defaults.
#
# The folder has a BERT tokenizer.json whose normalizer has lowercase = false, and a tokenizer_config.json without
# do_lower_case. tokenizers, and every program that reads the file itself, keeps capital letters. AutoTokenizer changes
# them to lower case, without a warning. If do_lower_case and lowercase contradict each other, transformers follows
# do_lower_case of the config.
#
# Versions: transformers 5.23.0, tokenizers 0.23.3; Python 3.11, Linux, x86-64.
# Seen:
#   config silent, file false: tokenizers [1], transformers [2]; true, false: [1], [2]; false, true: [2], [1] (1 is
#   [UNK], which 'Good' is to a vocabulary of small letters; 2 is 'good')
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
export ORT_DISABLE_TELEMETRY=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import json
import os

os.environ["HF_HUB_OFFLINE"] = "1"
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

VOCABULARY = {token: number for number, token in enumerate(["[PAD]", "[UNK]", "good", "[CLS]", "[SEP]", "[MASK]"])}


def ids(config, file):
    folder = Path(f"{config}-{file}")
    folder.mkdir()
    tokenizer = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=file)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.save(str(folder / "tokenizer.json"))
    stated = {} if config is None else {"do_lower_case": config}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", **stated}))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    theirs = AutoTokenizer.from_pretrained(str(folder))("Good", add_special_tokens=False).input_ids
    return Tokenizer.from_file(str(folder / "tokenizer.json")).encode("Good", add_special_tokens=False).ids, theirs


found = [ids(*each) for each in ((None, False), (True, False), (False, True))]
print(found)
raise SystemExit(found != [([1], [2]), ([1], [2]), ([2], [1])])
PROGRAM
