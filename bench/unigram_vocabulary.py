"""Measure what cutting a Unigram vocabulary of 250,000 tokens saves in the bundle, in the tokenizer and at export.

    .venv/bin/python bench/unigram_vocabulary.py build/unigram --layers 12 --hidden 768

Makes an XLM-RoBERTa from a seed (random weights; tokens of six scripts, with scores by rank), texts of its Latin and
Cyrillic tokens, and two INT8 bundles, with and without `[vocabulary]`. Prints one JSON object: sizes in bytes, seconds,
MiB. With random weights, quality cannot be measured. Export checks that the texts have the same tokens.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = {
    "latin": "abcdefghijklmnopqrstuvwxyzàâäçéèêëîïôöùûüñß",
    "cyrillic": "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "greek": "αβγδεζηθικλμνξοπρστυφχψω",
    "arabic": "".join(map(chr, range(0x0627, 0x064B))),
    "hangul": "".join(map(chr, range(0xAC00, 0xAC00 + 11172, 7))),
    "han": "".join(map(chr, range(0x4E00, 0x4E00 + 10000))),
}
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
TOKENS = 250_000
RECIPE = """
name = "unigram"
task = "similarity"
[model]
source = "model"
[head]
pooling = "mean"
[data]
unlabelled = ["texts.txt"]
max_length = 128
[export]
formats = ["FORMAT"]
stages = false
baseline = false
parity_samples = 2
"""
LOAD = """
import json, sys, time
from pathlib import Path
from edgebert.runtime.encode import TextEncoder
def resident():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
before, begin = resident(), time.perf_counter()
encoder = TextEncoder(Path(sys.argv[1]), 128)
seconds = time.perf_counter() - begin
encoder.encode("a")
print(json.dumps({"load_s": round(seconds, 3), "memory_mib": round((resident() - before) / 1024, 1)}))
"""


def vocabulary(draw: random.Random) -> list[tuple[str, float]]:
    """Make the vocabulary: special tokens, all characters, then words and parts of words. Scores fall with the rank."""
    characters = ["▁", *dict.fromkeys("".join(SCRIPTS.values()) + "0123456789.,;:!?-'\"()")]
    tokens = dict.fromkeys(characters)
    scripts = list(SCRIPTS.values())
    while len(tokens) < TOKENS - len(SPECIAL) - 1:
        letters = draw.choices(scripts, weights=(6, 4, 1, 2, 2, 3))[0]
        token = "".join(draw.choices(letters, k=draw.randint(2, 8 if len(letters) < 100 else 3)))
        tokens["▁" + token if draw.random() < 0.6 else token] = None
    scored = [(token, -math.log(rank + 10.0) - 2.0) for rank, token in enumerate(tokens)]
    return [*((token, 0.0) for token in SPECIAL), *scored, ("<mask>", 0.0)]


def texts(tokens: list[tuple[str, float]], draw: random.Random) -> list[str]:
    """Draw 20,000 texts of 20 words in two scripts, from 15,000 words of the vocabulary, by Zipf's law."""
    letters = {*SCRIPTS["latin"], *SCRIPTS["cyrillic"]}
    words = [token[1:] for token, _ in tokens if token[0] == "▁" and len(token) > 2 and letters.issuperset(token[1:])]
    weights = [1 / (rank + 10) for rank in range(15_000)]
    return [" ".join(draw.choices(words[:15_000], weights=weights, k=20)) for _ in range(20_000)]


def make(folder: Path, layers: int, hidden: int) -> None:
    """Write the checkpoint and the texts."""
    import torch
    import transformers

    draw = random.Random(0)
    tokens = vocabulary(draw)
    config = transformers.XLMRobertaConfig(
        vocab_size=TOKENS, max_position_embeddings=514, type_vocab_size=1, num_hidden_layers=layers,
        hidden_size=hidden, intermediate_size=4 * hidden, num_attention_heads=hidden // 64,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.XLMRobertaModel(config).save_pretrained(folder / "model")
    transformers.XLMRobertaTokenizer(vocab=tokens).save_pretrained(folder / "model")
    (folder / "texts.txt").write_text("\n".join(texts(tokens, draw)) + "\n", encoding="utf-8")


def export(folder: Path, kind: str, runtime: str) -> dict[str, object]:
    """Export a bundle; return the bytes of the bundle and its parts, and seconds and peak memory of the export."""
    name = f"{kind}-{runtime}"
    more = "[vocabulary]\nminimum_count = 1\n" if kind == "cut" else ""
    (folder / f"{name}.toml").write_text(RECIPE.replace("FORMAT", runtime) + more, encoding="utf-8")
    command = [sys.executable, "-m", "edgebert", "export", f"{name}.toml", "--out", name, "--work", f"{name}.work"]
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
    seconds = time.perf_counter() - begin
    sizes = {path.name: path.stat().st_size for path in sorted((folder / name).iterdir()) if path.is_file()}
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder / name / "tokenizer.json")], check=True, capture_output=True, text=True
    )
    manifest = json.loads((folder / name / "manifest.json").read_text(encoding="utf-8"))
    cut = next((stage["metrics"] for stage in manifest["stages"] if stage["stage"] == "vocabulary"), {})
    return {
        "bundle_bytes": sum(sizes.values()),
        "files": sizes,
        "tokenizer": json.loads(loaded.stdout),
        "export_s": round(seconds, 1),
        "peak_mib_so_far": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "vocabulary": cut,
    }


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=768, help="a multiple of 64")
    parser.add_argument("--format", choices=("onnx", "core"), default="onnx")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if not (arguments.folder / "texts.txt").is_file():
        make(arguments.folder, arguments.layers, arguments.hidden)
    found = {kind: export(arguments.folder, kind, arguments.format) for kind in ("cut", "whole")}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
