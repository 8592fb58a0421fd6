#!/usr/bin/env bash
# The Unigram trainer of tokenizers gives other scores in every process, and sometimes other ids.
#
# Trained on the same text, with the same settings and PYTHONHASHSEED=0, processes find the same pieces. Their scores
# differ in the last digits, and pieces with nearly the same score change places, which are their ids.
#
# Versions: tokenizers 0.23.3; Python 3.11, Linux, x86-64.
# Seen:
#   16 processes: 16 files, 4 orders, 1 set of pieces (the first two numbers differ from run to run)
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
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
import json, random
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
draw = random.Random(0)
syllables = ["ba", "na", "to", "mi", "ka", "re", "lu", "so", "é", "ü", "日", "本", "🙂", "a", "i"]
words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(60)]
texts = [" ".join(draw.choices(words, weights=range(1, 61), k=draw.randint(1, 12))) for _ in range(400)]
tokenizer = Tokenizer(models.Unigram())
tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
special = {"special_tokens": ["<s>", "<pad>", "</s>", "<unk>"], "unk_token": "<unk>"}
tokenizer.train_from_iterator(texts, trainers.UnigramTrainer(vocab_size=260, show_progress=False, **special))
print(json.dumps(json.loads(tokenizer.to_str())["model"]["vocab"]))
"""
environment = {**os.environ, "PYTHONHASHSEED": "0"}
command = [sys.executable, "-c", PROGRAM]
runs = [subprocess.run(command, env=environment, check=True, capture_output=True, text=True) for _ in range(16)]
pieces = [[piece for piece, _ in json.loads(run.stdout)] for run in runs]
files, orders, sets = ({str(each) for each in found} for found in ((run.stdout for run in runs), pieces, map(sorted, pieces)))
print(f"{len(runs)} processes: {len(files)} files, {len(orders)} orders, {len(sets)} set of pieces")
raise SystemExit(len(files) == 1)
PROGRAM
