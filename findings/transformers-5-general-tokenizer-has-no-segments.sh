#!/usr/bin/env bash
# With its general tokenizer class, transformers 5 returns no token_type_ids for pairs. transformers 4 returned them.
#
# The folder has a BERT tokenizer.json (segments 0 and 1 in its post-processor) and a tokenizer_config.json that names
# PreTrainedTokenizerFast and has no model_input_names. transformers 4 returns token_type_ids for a pair, transformers 5
# does not. A model then reads both texts as segment 0 and gives other answers, without a warning.
#
# Versions: transformers 4.57.1 and 5.23.0; Python 3.11, Linux, x86-64.
# Seen:
#   4.57.1: [0, 0, 0, 1, 1]
#   5.23.0: None
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/program.py" <<'PROGRAM'
import json
import os

os.environ["HF_HUB_OFFLINE"] = "1"
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer

tokenizer = Tokenizer(models.WordLevel({"[CLS]": 0, "[SEP]": 1, "a": 2, "b": 3}, unk_token="a"))
tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer.post_processor = processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0))
folder = Path("model")
folder.mkdir(exist_ok=True)
tokenizer.save(str(folder / "tokenizer.json"))
(folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
(folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
print(AutoTokenizer.from_pretrained(str(folder))("a", "b").get("token_type_ids"))
PROGRAM
cd "$folder"
for version in 4.57.1 5.23.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "transformers==$version"
    "$folder/$version/bin/python" program.py 2>/dev/null | tail -1 >"$version.txt"
    echo "$version: $(cat "$version.txt")"
done
[ "$(cat 4.57.1.txt)" = "[0, 0, 0, 1, 1]" ] && [ "$(cat 5.23.0.txt)" = "None" ]
