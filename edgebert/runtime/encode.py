"""Text to token ids, by the tokenizer that the checkpoint came with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from edgebert.errors import BundleError, TextError
from edgebert.examples import Example


@dataclass(frozen=True)
class Encoded:
    """Token ids and segment ids of one text (or pair), special tokens included, and whether it was cut short."""

    ids: list[int]
    type_ids: list[int]
    truncated: bool


class TextEncoder:
    """Encodes texts or pairs of texts, cut to `max_length` tokens, never padded."""

    def __init__(self, tokenizer_file: Path, max_length: int) -> None:
        """Open a `tokenizer.json`.

        Raises:
            BundleError: The file is not a tokenizer.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
            raise BundleError(f"{tokenizer_file}: not a tokenizer ({error}); export the bundle again") from None
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self.max_length = max_length

    def encode(self, text: str) -> Encoded:
        """Encode one text.

        Raises:
            TextError: Not a string, not valid Unicode, or nothing in it that makes a token.
        """
        self._check(text, "text")
        return self._encoded(text, None)

    def encode_pair(self, text: str, text_pair: str) -> Encoded:
        """Encode a text and its pair.

        Raises:
            TextError: Either is not a string or not valid Unicode, or nothing in both makes a token.
        """
        self._check(text, "text")
        self._check(text_pair, "text pair")
        return self._encoded(text, text_pair)

    def encode_row(self, row: Example) -> Encoded:
        """Encode a row of a data file: its text, or its text and the pair."""
        return self.encode(row.text) if row.text_pair is None else self.encode_pair(row.text, row.text_pair)

    def _encoded(self, text: str, text_pair: str | None) -> Encoded:
        encoding = self._tokenizer.encode(text, text_pair)
        if all(encoding.special_tokens_mask):
            raise TextError(f"text {text[:40]!r} holds no token; give at least one word")
        return Encoded(encoding.ids, encoding.type_ids, bool(encoding.overflowing))

    @staticmethod
    def _check(text: object, what: str) -> None:
        if not isinstance(text, str):
            raise TextError(f"{what} is {type(text).__name__} {text!r:.40}; give a str")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise TextError(
                f"{what} holds the lone surrogate {text[error.start]!r} at character {error.start}; "
                "decode the source as UTF-8 with errors='replace'"
            ) from None
