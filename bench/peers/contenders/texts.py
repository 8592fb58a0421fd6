"""Text to arrays with `tokenizers`, and outputs of a graph to scores or an embedding with numpy."""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer


class Encoder:
    """Token ids, mask and segments of a text, truncated to max_length, not padded. *Shape* of each: (1, length)."""

    def __init__(self, tokenizer_file: str, max_length: int) -> None:
        self.tokenizer = Tokenizer.from_file(tokenizer_file)
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length)

    def __call__(self, text: str) -> dict[str, np.ndarray]:
        encoding = self.tokenizer.encode(text)
        return {
            "input_ids": np.array([encoding.ids], dtype=np.int64),
            "attention_mask": np.array([encoding.attention_mask], dtype=np.int64),
            "token_type_ids": np.array([encoding.type_ids], dtype=np.int64),
        }


def finish(task: str, output: np.ndarray) -> np.ndarray:
    """Compute the answer for one text.

    Args:
        task: `text-classification` or `similarity`.
        output: Logits, *shape* (1, labels), or the last hidden state, *shape* (1, length, width).

    Returns:
        Probabilities, or the mean row, normalized to length 1.
    """
    if task == "similarity":
        vector = output[0].mean(axis=0)
        return vector / np.linalg.norm(vector)
    exponentials = np.exp(output[0] - output[0].max())
    return exponentials / exponentials.sum()
