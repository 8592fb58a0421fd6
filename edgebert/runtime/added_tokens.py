"""Find tokens that were added to a tokenizer, special ones among them, where they are written in a text."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.models import WordLevel


class AddedTokens:
    """Added tokens of one tokenizer, which reads them before anything else splits a text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Take over the added tokens and the normalizer.

        A model that knows no word stands for the tokenizer's own: what is left of a text between added tokens has the
        id 0.
        """
        added = list(tokenizer.get_added_tokens_decoder().values())
        self._contents = [token.content for token in added]
        # Only as it is normalized a text may hold such a token that is not written in it.
        self._is_plain = tokenizer.normalizer is None or not any(token.normalized for token in added)
        self._finder = Tokenizer(WordLevel({"": 0}, unk_token=""))
        if tokenizer.normalizer is not None:
            self._finder.normalizer = tokenizer.normalizer
        self._finder.add_tokens(added)

    def find(self, text: str) -> list[tuple[int, int]]:
        """Stretches of characters of the tokens, in order, with the white space that a token takes with it.

        None in a text that is no valid Unicode, which is refused when it is encoded.
        """
        if self._is_plain and not any(content in text for content in self._contents):
            return []
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return []
        encoding = self._finder.encode(text, add_special_tokens=False)
        return [offsets for number, offsets in zip(encoding.ids, encoding.offsets, strict=True) if number]
