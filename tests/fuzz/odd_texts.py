"""Unusual texts that a service may receive."""

from hypothesis import strategies as st

PARTS = [
    " ", "  ", "\t", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u1680", "\u2007", "\u2028",
    "\u2029", "\u3000", "\x00", "\x01", "\x1b[31m", "\x7f", "\x9f", "\xad", "\u200b", "\u200d", "\u200e",
    "\u202e", "\u2060", "\ufeff", "\ufffd", "\ufffe", "\U000e0041", "\U0010ffff", "\u0301", "\u0308\u0301",
    "\u0489", "\ufe0f", "\U0001f3fd", "\u0e33", "\u0f77", "İ", "ı", "ß", "ẞ", "ﬁ", "ǆ",
    "Ⅷ", "㎏", "½", "ﷺ", "é", "e\u0301", "Å", "Å", "한국", "\u1112\u1161\u11ab", "が",
    "か\u3099", "中文", "𠀀", "𝔘", "👩‍👩‍👧", "🏳️‍🌈", "🇩🇪",
    "नमस्ते", "שלום", "مرحبا", "the", "a", "film", "Good",
    "x" * 120, "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "<s>", "</s>", "<mask>", "##s", "Ġ", "▁",
    "'", '"', "''", "-", "--", "...", "U.S.", "@you", "#tag", "a_b", "3.14", "1e999", "\\n", "\\", "{", "<b>",
    "&amp;", "%s",
]  # fmt: skip
CATEGORIES = [
    "Cc", "Cf", "Cn", "Co", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl", "No", "Pc", "Po", "Sk",
    "Sm", "So", "Zl", "Zp", "Zs",
]  # fmt: skip


def odd_texts() -> st.SearchStrategy[str]:
    """Any character, one kind of characters, odd parts in any order, long ones, and lone surrogates now and then."""
    of_a_kind = st.sampled_from(CATEGORIES).flatmap(
        lambda kind: st.text(st.characters(categories=[kind]), min_size=1, max_size=12)
    )
    parts = st.lists(st.sampled_from(PARTS), min_size=1, max_size=12).map("".join)
    spaced = st.lists(st.sampled_from(PARTS), min_size=1, max_size=12).map(" ".join)
    long = st.tuples(parts, st.integers(2, 60)).map(lambda drawn: drawn[0] * drawn[1])
    with_surrogates = st.tuples(parts, st.characters(categories=["Cs"]), parts).map("".join)
    return st.one_of(st.text(max_size=40), of_a_kind, parts, parts, spaced, spaced, long, with_surrogates)
