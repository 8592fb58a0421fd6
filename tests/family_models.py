"""Models of every family in the tests: loading, answers, random masks."""

import json
from pathlib import Path
from typing import Any

import torch

from edgebert.compress import arch, checkpoint
from edgebert.compress.importance import Importance
from edgebert.compress.masks import Masks
from edgebert.compress.prune import choose

TASK, LABELS = "text-classification", ["a", "b"]
IDS = torch.randint(5, 40, (6, 12), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS)
MASK[1, 7:] = 0
MASK[3, 3:] = 0


def load(folder: Path) -> Any:
    return checkpoint.load_model(folder, TASK, LABELS).eval()


def logits(model: Any, **more: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, attention_mask=MASK, **more).logits
    return found


def whole_logits(model: Any) -> torch.Tensor:
    """Logits of texts without padding, which transformers' own MobileBERT lets the last token see."""
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, attention_mask=torch.ones_like(MASK)).logits
    return found


def assert_same(model: Any, other: Any) -> None:
    """Check that weights are equal bit for bit, and answers within rounding of another order of sums."""
    weights, others = model.state_dict(), other.state_dict()
    assert weights.keys() == others.keys()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())
    assert (logits(model) - logits(other)).abs().max().item() <= 1e-6


def random_masks(model: Any, seed: int = 1) -> Masks:
    random = torch.Generator().manual_seed(seed)
    shapes = arch.layer_shapes(model)
    scores = Importance(
        [torch.rand(shape.heads, generator=random) for shape in shapes],
        [torch.rand(shape.ffn, generator=random) for shape in shapes],
    )
    return choose(scores, 0.5, 0.5, ffn_multiple=4)


def save(model: Any, source: Path, out: Path) -> Path:
    checkpoint.save_model(model, checkpoint.load_tokenizer(source), out)
    return out


def change_config(folder: Path, drop: tuple[str, ...] = (), **entries: Any) -> None:
    path = folder / "config.json"
    config = {name: value for name, value in json.loads(path.read_text()).items() if name not in drop}
    path.write_text(json.dumps({**config, **entries}))
