#!/usr/bin/env bash
# A template can repeat a text in the input. tokenizers truncates the text as if it occurred once, so a long text gets
# more than max_length tokens, without a warning. A model with max_length positions then fails.
#
# Versions: tokenizers 0.23.3, Python 3.11.
# Input:    a text of ten words, templates "[CLS] $A [SEP]" and "[CLS] $A [SEP] $A [SEP]", truncation to 8 tokens.
# Seen:     once:  8 tokens
#           twice: 13 tokens
# Exit code: 0 while the second input is longer than max_length and the first is not, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/cut.py" <<'PYTHON'
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, processors

tokenizer = Tokenizer(models.WordLevel({"[CLS]": 0, "[SEP]": 1, "a": 2}, unk_token="a"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.enable_truncation(8)
lengths = []
for name, template in (("once", "[CLS] $A [SEP]"), ("twice", "[CLS] $A [SEP] $A [SEP]")):
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, pair="$A $B", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
    )
    lengths.append(len(tokenizer.encode("a " * 10).ids))
    print(f"{name + ':':6} {lengths[-1]} tokens")
sys.exit(0 if lengths[0] == 8 < lengths[1] else 1)
PYTHON
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tokenizers==0.23.3
"$folder/venv/bin/python" "$folder/cut.py"
