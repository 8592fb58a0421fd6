#!/usr/bin/env bash
# For DeBERTa (v1), transformers 5 puts two [SEP] between the texts of a pair, and gives both texts segment 0.
#
# Like published DeBERTa checkpoints, the folder has vocab.json and merges.txt. transformers 4 puts one [SEP] between
# the texts, and gives the second text segment 1, as in the training of such models. There is no warning that the ids
# have changed.
#
# Versions: transformers 4.57.1 and 5.23.0; Python 3.11, Linux, x86-64.
# Seen:
#   4.57.1 ['[CLS]', 'a', '[SEP]', 'b', '[SEP]'] [0, 0, 0, 1, 1]
#   5.23.0 ['[CLS]', 'a', '[SEP]', '[SEP]', 'b', '[SEP]'] [0, 0, 0, 0, 0, 0]
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/program.py" <<'PROGRAM'
import json
import pathlib
import sys

import transformers

folder = pathlib.Path("model")
folder.mkdir(exist_ok=True)
pieces = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]", "a", "b")
(folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}))
(folder / "merges.txt").write_text("#version: 0.2\n")
(folder / "config.json").write_text(json.dumps({"model_type": "deberta"}))
(folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "DebertaTokenizer"}))
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
given = tokenizer("a", "b", return_token_type_ids=True)
print(transformers.__version__, tokenizer.convert_ids_to_tokens(given["input_ids"]), given["token_type_ids"])
separators = given["input_ids"].count(2)
sys.exit(separators != int(sys.argv[1]))
PROGRAM
cd "$folder"
for pair in "4.57.1 2" "5.23.0 3"; do
    read -r version separators <<< "$pair"
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "transformers==$version"
    "$folder/$version/bin/python" program.py "$separators"
done
