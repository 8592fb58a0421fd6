#!/usr/bin/env bash
# The WordPiece trainer of tokenizers makes a different vocabulary in every process. The byte-pair trainer does not.
#
# Eight processes train on the same text, with the same settings and PYTHONHASHSEED=0. Each numbers the continuation
# tokens (##) in a different order, and chooses other tokens among equally frequent ones. The byte-pair trainer makes
# the same file every time.
#
# Versions: tokenizers 0.23.3; Python 3.11, Linux, x86-64.
# Seen:
#   WordPiece: 8 vocabularies, 5 sets of pieces; BPE: 1, 1 (8 processes each; the 5 differs from run to run)
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
export ORT_DISABLE_TELEMETRY=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import json
import os
import subprocess
import sys

PROGRAM = """
import json, sys
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
if sys.argv[1] == "WordPiece":
    tokenizer, trainer = Tokenizer(models.WordPiece(unk_token="[UNK]")), trainers.WordPieceTrainer
else:
    tokenizer, trainer = Tokenizer(models.BPE()), trainers.BpeTrainer
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
texts = ["a good film", "the story was dull", "cold and poor xylophone"] * 3
tokenizer.train_from_iterator(texts, trainer(vocab_size=120, special_tokens=["[UNK]"], show_progress=False))
print(json.dumps(tokenizer.get_vocab(), sort_keys=True))
"""
environment = {**os.environ, "PYTHONHASHSEED": "0"}


def counts(kind):
    command = [sys.executable, "-c", PROGRAM, kind]
    runs = [subprocess.run(command, env=environment, check=True, capture_output=True, text=True) for _ in range(8)]
    found = [json.loads(run.stdout) for run in runs]
    return len({json.dumps(each) for each in found}), len({json.dumps(sorted(each)) for each in found})


pieces, pairs = counts("WordPiece"), counts("BPE")
print(f"WordPiece: {pieces[0]} vocabularies, {pieces[1]} sets of pieces; BPE: {pairs[0]}, {pairs[1]}")
raise SystemExit(not (pieces[0] > 1 and pairs == (1, 1)))
PROGRAM
