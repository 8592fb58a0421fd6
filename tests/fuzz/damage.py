"""Damage to files: to their bytes, or to any value of a JSON document."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

JUNK = [
    b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xc3", b"\r", b"\r\n", b"\n", b"\n\n", b"\t", b",", b'"',
    b"'", b" ", b"\x0c", b"\xc2\x85", b"\xe2\x80\xa8", b"\x1b[2J", b"9" * 400, b"9" * 5000, b"1e999", b"-1", b"NaN",
    b"Infinity", b"null", b"true", b"\\ud800", b"\\u0000", b"{", b"}", b"[", b"]", b"[" * 3000, b'{"a":' * 3000,
    b"O", b"B-x", b"I-x", b"#", b"=", b".",
]  # fmt: skip
# Stand for what json.dumps would not write.
RAW = {
    "@deep-lists": "[" * 20_000 + "]" * 20_000,
    "@deep-objects": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "@nan": "NaN",
    "@infinity": "1e999",
    "@digits": "9" * 5000,
}
# json.loads makes an infinity of 1e999, and reads NaN: both are values that a document may be found to hold.
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7.5, 1e308, -1e-308, 2**31, 2**63, -(2**63) - 1, 10**300, *RAW, "", "x", "O",
    "\x00", "\ud800", "\u202e", "a\nb", "\x1b[2J", "x" * 5000, "..", "../other/model.onnx", "/etc/hostname",
    "model.onnx", "manifest.json", "tokenizer.json", "NaN", "1", [], {}, [[]], [{}], [None], ["x", "x"], [1, 2],
    {"": {}}, {"path": "x"}, {"x": 1},
]  # fmt: skip


class Damaged(bytes):
    """A file's content with a short repr, for failed tests."""

    def __repr__(self) -> str:
        return super().__repr__() if len(self) < 400 else f"<{len(self)} bytes, as the file at hand has them>"


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes, most: int = 3) -> Damaged:
    """The content truncated, with flipped bits, or with parts inserted, removed, repeated or moved."""
    for _ in range(draw(st.integers(1, most))):
        start, end = sorted((draw(st.integers(0, len(content))), draw(st.integers(0, len(content)))))
        end = min(end, start + draw(st.sampled_from([1, 8, 64, len(content) + 1])))
        kind = draw(st.sampled_from(["cut", "flip", "insert", "insert", "leave out", "repeat", "move"]))
        if kind == "cut":
            content = content[:start]
        elif kind == "flip" and start < len(content):
            flipped = content[start] ^ (1 << draw(st.integers(0, 7)))
            content = content[:start] + bytes([flipped]) + content[start + 1 :]
        elif kind == "insert":
            content = content[:start] + draw(st.sampled_from(JUNK)) + content[start:]
        elif kind == "leave out":
            content = content[:start] + content[end:]
        elif kind == "repeat":
            content = content[:end] + content[start:]
        else:
            content = content[:start] + content[end:] + content[start:end]
    return Damaged(content)


@st.composite
def damaged_json(draw: st.DrawFn, document: Any, most: int = 2) -> Damaged:
    """The document with replaced values of any type and depth, or with added, removed or renamed keys or items."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        table, key = draw(st.sampled_from(_places(document)))
        kind = draw(st.sampled_from(["replace", "replace", "replace", "leave out", "add"]))
        value = copy.deepcopy(draw(st.sampled_from(VALUES)))
        if kind == "replace":
            table[key] = value
        elif kind == "leave out":
            del table[key]
        elif isinstance(table, dict):
            table[draw(st.sampled_from(["", "x", "path", "\ud800", "format"]))] = value
        else:
            table.insert(key, value)
    return Damaged(json_bytes(document))


def json_bytes(document: Any) -> bytes:
    """The document as text, including values that json.dumps would not write."""
    text = json.dumps(document, indent=1)
    for name, raw in RAW.items():
        text = text.replace(json.dumps(name), raw)
    return text.encode()


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Every table and list of a document with each of its keys; the upper ones as often as all below them."""
    found: list[tuple[Any, Any]] = []
    level = [document]
    while level:
        here = [(one, key) for one in level for key in (one if isinstance(one, dict) else range(len(one)))]
        found += here * max(1, 40 // max(1, len(here)))
        level = [one[key] for one, key in here if isinstance(one[key], dict | list)]
    return found or [({}, "x")]
