#!/usr/bin/env bash
# tokenizers does not depend on numpy and encodes texts without it. But encoding a list of words (is_pretokenized=True)
# imports numpy if it is installed, to check whether the words are an array. This costs time in a process without
# arrays.
#
# Versions: tokenizers 0.23.3, numpy 2.4.6, Python 3.11.
# Input:    a vocabulary of two words; the text "a b", and the words ["a", "b"].
# Seen:     text:  ids [0, 1], numpy imported: False
#           words: ids [0, 1], numpy imported: True
# Exit code: 0 while words import numpy and a text does not, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/encode.py" <<'PYTHON'
import sys

from tokenizers import Tokenizer, models, pre_tokenizers

tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
seen = []
for name, given, words in (("text", "a b", False), ("words", ["a", "b"], True)):
    ids = tokenizer.encode(given, is_pretokenized=words).ids
    seen.append("numpy" in sys.modules)
    print(f"{name + ':':6} ids {ids}, numpy imported: {seen[-1]}")
sys.exit(0 if seen == [False, True] else 1)
PYTHON
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tokenizers==0.23.3 numpy==2.4.6
"$folder/venv/bin/python" "$folder/encode.py"
