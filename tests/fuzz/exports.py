"""Tiny exports with every stage, for runs that are killed."""

import random
from dataclasses import dataclass
from pathlib import Path

from conftest import make_checkpoint, sentence, write_tsv

ROWS = {"train": 96, "validation": 32, "test": 32}
TRAINING = "epochs = 1.0\nlearning_rate = 1e-3\nbatch_size = 16\nevaluations_per_epoch = 3\n"
HEAD = 'name = "NAME"\ntask = "text-classification"\n[model]\nsource = "SOURCE"\n[data]\nmax_length = 32\n'
LABELLED = 'train = "train.tsv"\nvalidation = "validation.tsv"\ntest = "test.tsv"\n'

# Fine-tuned, distilled, pruned, with fewer words and a table of low rank, trained for INT8.
CHAIN = f"""{HEAD}{LABELLED}
[finetune]
{TRAINING}
[distill]
layers = [0]
{TRAINING}
[prune]
ffn_multiple = 8
samples = 32
[prune.recover]
{TRAINING}
[vocabulary]
rank = 16
[vocabulary.recover]
{TRAINING}
[quantize.recover]
{TRAINING}
[export]
stages = false
"""
# A checkpoint that is only quantized, for both runtimes, with the baseline in the bundle.
QUANTIZED = f"""{HEAD}{LABELLED}label_names = {{ neg = "LABEL_0", pos = "LABEL_1" }}
[quantize]
format = "static"
samples = 16
[export]
formats = ["onnx", "openvino"]
baseline = true
"""
HALVED = f"""{HEAD}unlabelled = ["text.txt"]
[quantize]
format = "fp16"
"""


@dataclass(frozen=True)
class Export:
    """A recipe, the profile that it is exported for, and whose bundle it replaces."""

    name: str
    recipe: Path
    profile: str
    replaces: str

    def arguments(self, out: Path) -> list[str]:
        return ["export", str(self.recipe), "--out", str(out), "--profile", self.profile]


def make_exports(root: Path) -> list[Export]:
    """Write recipes, checkpoints and data into a folder."""
    for seed, (name, rows) in enumerate(ROWS.items()):
        write_tsv(root / f"{name}.tsv", rows, seed)
    text = random.Random(0)
    (root / "text.txt").write_text("".join(f"{sentence(text, at % 2 == 0)}\n" for at in range(16)))
    bare = make_checkpoint(root / "bare", layers=2)
    headed = make_checkpoint(root / "headed", layers=1, head=2)
    exports = []
    for name, recipe, source, profile, replaces in (
        ("chain", CHAIN, bare, "x86-avx2", ""),
        ("halved", HALVED, headed, "nvidia-t4", ""),
        ("quantized", QUANTIZED, headed, "x86-avx2", "halved"),
    ):
        path = root / f"{name}.toml"
        path.write_text(recipe.replace("NAME", name).replace("SOURCE", str(source)))
        exports.append(Export(name, path, profile, replaces))
    return exports
