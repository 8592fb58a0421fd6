"""Write BERT-base with random weights from a seed and the tokenizer of another folder, only to measure latency.

python bench/peers/contenders/random_bert.py TOKENIZER_FOLDER OUT      (in an environment with torch and transformers)
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification

SEED = 7


def main(tokenizer_folder: str, out: str) -> None:
    torch.manual_seed(SEED)
    labels = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
    model = BertForSequenceClassification(BertConfig(vocab_size=30522, **labels))
    model.save_pretrained(out)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        if (path := Path(tokenizer_folder) / name).is_file():
            shutil.copyfile(path, Path(out) / name)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: random_bert.py TOKENIZER_FOLDER OUT")
    main(*sys.argv[1:])
