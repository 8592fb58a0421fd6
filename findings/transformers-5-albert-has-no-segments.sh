#!/usr/bin/env bash
# transformers 5 returns no token_type_ids for a pair with ALBERT, although its models have an embedding for each
# segment.
#
# Like published ALBERT checkpoints, the folder has no model_input_names. In transformers 4 the second text has segment
# 1, as in the training of such models. Without token_type_ids the model uses segment 0 for all tokens, so its answers
# for pairs change without a warning.
#
# Versions: transformers 4.57.1 and 5.23.0; Python 3.11, Linux, x86-64.
# Seen:
#   4.57.1 AlbertTokenizerFast {'input_ids': [2, 4, 3, 5, 3], 'token_type_ids': [0, 0, 0, 1, 1]}
#   5.23.0 AlbertTokenizer {'input_ids': [2, 4, 3, 5, 3]}
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
from tokenizers import Tokenizer, models, pre_tokenizers, processors

folder = pathlib.Path("model")
folder.mkdir(exist_ok=True)
pieces = [("<pad>", 0.0), ("<unk>", 0.0), ("[CLS]", 0.0), ("[SEP]", 0.0), ("▁a", -1.0), ("▁b", -1.0), ("[MASK]", 0.0)]
tokenizer = Tokenizer(models.Unigram(pieces, unk_id=1))
tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
)
tokenizer.save(str(folder / "tokenizer.json"))
(folder / "config.json").write_text(json.dumps({"model_type": "albert"}))
(folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "AlbertTokenizer"}))
built = transformers.AutoTokenizer.from_pretrained(folder)
given = dict(built("a", "b"))
given.pop("attention_mask")
print(transformers.__version__, type(built).__name__, given)
sys.exit(given.get("token_type_ids") != ([0, 0, 0, 1, 1] if sys.argv[1] == "segments" else None))
PROGRAM
cd "$folder"
for pair in "4.57.1 segments" "5.23.0 none"; do
    read -r version expected <<< "$pair"
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "transformers==$version"
    "$folder/$version/bin/python" program.py "$expected"
done
