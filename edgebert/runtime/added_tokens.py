"""Find a tokenizer's added tokens, special ones included, in a text."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.models import WordLevel


class AddedTokens:
    """Added tokens of one tokenizer, which it recognises before it splits the rest of a text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Copy the added tokens and the normalizer.

        The tokenizer's model is replaced by one that knows no words, so text between added tokens gets the id 0.
        """
        added = list(tokenizer.get_added_tokens_decoder().values())
        self._contents = [token.content for token in added]
        # A normalized text may contain such a token even if the original text does not.
        self._is_plain = tokenizer.normalizer is None or not any(token.normalized for token in added)
        self._finder = Tokenizer(WordLevel({"": 0}, unk_token=""))
        if tokenizer.normalizer is not None:
            self._finder.normalizer = tokenizer.normalizer
        self._finder.add_tokens(added)

    def find(self, text: str) -> list[tuple[int, int]]:
        """Find the tokens as character ranges, in order, with the white space that belongs to a token.

        Invalid Unicode has none; such a text is refused when it is encoded.
        """
        if self._is_plain and not any(content in text for content in self._contents):
            return []
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return []
        encoding = self._finder.encode(text, add_special_tokens=False)
        return [offsets for number, offsets in zip(encoding.ids, encoding.offsets, strict=True) if number]
