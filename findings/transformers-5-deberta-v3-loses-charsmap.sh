#!/usr/bin/env bash
# transformers 5 drops SentencePiece's character normalization from the tokenizer of DeBERTa v2 and v3.
#
# Like published checkpoints, the folder has spm.model. Its rules (nmt_nfkc) replace ligatures and full-width letters by
# ordinary letters. transformers 4 keeps the rules as Precompiled. transformers 5 uses NFC instead, so such characters
# become unknown, without a warning.
#
# Versions: transformers 4.57.1 and 5.23.0, sentencepiece 0.2.1, protobuf 6.33.0; Python 3.11, Linux, x86-64.
# Seen:
#   4.57.1 ['▁a', '▁film']
#   5.23.0 ['▁a', '▁', '[UNK]', 'l', 'm']
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/program.py" <<'PROGRAM'
import json
import pathlib
import sys

import sentencepiece
import transformers

folder = pathlib.Path("model")
folder.mkdir(exist_ok=True)
texts = ["a film", "a good film", "a film so dull", "the film and the story"] * 20
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(texts), model_prefix="model/spm", vocab_size=36, pad_id=0, bos_id=1, eos_id=2, unk_id=3,
    pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]", hard_vocab_limit=False, minloglevel=2,
)  # fmt: skip
(folder / "config.json").write_text(json.dumps({"model_type": "deberta-v2"}))
(folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "DebertaV2Tokenizer"}))
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
pieces = tokenizer.convert_ids_to_tokens(tokenizer("a ﬁlm", add_special_tokens=False)["input_ids"])
print(transformers.__version__, pieces)
sys.exit(("[UNK]" in pieces) != (sys.argv[1] == "unknown"))
PROGRAM
cd "$folder"
for pair in "4.57.1 known" "5.23.0 unknown"; do
    read -r version expected <<< "$pair"
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "transformers==$version" sentencepiece==0.2.1 \
        protobuf==6.33.0
    "$folder/$version/bin/python" program.py "$expected"
done
