#!/usr/bin/env bash
# sentence-transformers saves only the class of a Dense module's activation. Its arguments are lost without a warning.
#
# The script saves a model whose Dense module has LeakyReLU(negative_slope=0.5) with save_pretrained, and loads it
# again. config.json of the module has only the name torch.nn.modules.activation.LeakyReLU. The loaded module has
# PyTorch's default slope, 0.01, so the loaded model computes other vectors. GELU(approximate="tanh") is loaded as the
# exact GELU.
#
# Versions: sentence-transformers 6.2.0, transformers 5.23.0, torch 2.13.0; Python 3.11, Linux, x86-64.
# Seen:
#   saved: torch.nn.modules.activation.LeakyReLU
#   loaded: LeakyReLU(negative_slope=0.01) GELU(approximate='none')
#   largest difference over 0.1: True
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

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

words = ["[PAD]", "[UNK]", "a", "warm", "meal"]
tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]").save_pretrained("encoder")
torch.manual_seed(0)
sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=32, **sizes)).save_pretrained("encoder")


def loaded_again(activation):
    modules = [Transformer("encoder"), Pooling(16, pooling_mode="mean"), Dense(16, 8, activation_function=activation)]
    with torch.no_grad():
        modules[2].linear.weight.mul_(4)
    model = SentenceTransformer(modules=modules, device="cpu")
    model.save_pretrained("saved")
    again = SentenceTransformer("saved", device="cpu")
    apart = abs(model.encode(["a warm meal"]) - again.encode(["a warm meal"])).max()
    return json.loads(next(Path("saved").glob("*Dense/config.json")).read_text()), again[2].activation_function, apart


config, leaky, apart = loaded_again(torch.nn.LeakyReLU(negative_slope=0.5))
print("saved:", config["activation_function"])
print("loaded:", leaky, loaded_again(torch.nn.GELU(approximate="tanh"))[1])
print("largest difference over 0.1:", bool(apart > 0.1))
PROGRAM
cd "$folder"
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check \
    sentence-transformers==6.2.0 transformers==5.23.0 torch==2.13.0
"$folder/environment/bin/python" program.py 2>/dev/null >seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
saved: torch.nn.modules.activation.LeakyReLU
loaded: LeakyReLU(negative_slope=0.01) GELU(approximate='none')
largest difference over 0.1: True
SEEN
