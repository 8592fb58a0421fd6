"""Make neutral sentences to check a model on if its owner gives no text: always the same, from lists of words.

Sentences in another script are used only if the model's tokenizer knows all their tokens. Needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from edgebert.compress.sentence_modules import read_object
from edgebert.errors import CheckpointError
from edgebert.runtime.encode import panic_reason
from edgebert.whole_file import write_whole

ROWS = 128
# Number of sentences per row, repeated: most texts are short, some are long.
SENTENCES = (1, 1, 2, 1, 1, 3, 1, 2, 1, 6)
WHO = (
    *("The baker", "My neighbour", "A young doctor", "The old captain", "Our teacher", "The committee", "A student"),
    *("The engineer", "Her brother", "The shop on the corner", "A tall woman", "The new mayor", "Nobody"),
    # Names, for taggers to find.
    *("Anna Schmidt", "John Smith from London", "The University of Oslo", "Maria", "The European Union", "Siemens"),
)
DOES = (
    *("opened", "repaired", "forgot", "described", "bought", "painted", "carried", "measured", "found", "sold"),
    "looked at",
)
WHAT = (
    *("the red bicycle", "two letters", "a wooden bridge", "the long report", "a cup of tea", "the blue door"),
    *("seven apples", "the broken clock", "a map of the coast", "the last train ticket", "an empty box"),
    *("the weather data", "a heavy suitcase", "the first page", "some warm bread", "a small garden", "the software"),
)
WHEN = (
    *("in the morning", "before lunch", "on Monday", "after 3 years", "last winter", "at 10:45", "in 2019"),
    *("near the station", "without a word", "for $12.50", "during the meeting", "in the north of the country"),
    *("because it rained", "although it was late", "with great care", "for the second time"),
    *("in New York", "with Peter Brown", "for the Red Cross in Geneva", "on the way to Paris", "at the Bank of Spain"),
)
ASKED = ("Who was it?", "What happened?", "When was that?", "Where did it happen?", "Why?")
# One sentence each in other languages: "The train to the city leaves at eight in the morning."
OTHERS = (
    "Der Zug in die Stadt fährt um acht Uhr morgens ab.",
    "Le train pour la ville part à huit heures du matin.",
    "El tren a la ciudad sale a las ocho de la mañana.",
    "Il treno per la città parte alle otto di mattina.",
    "Pociąg do miasta odjeżdża o ósmej rano.",
    "Şehre giden tren sabah sekizde kalkıyor.",
    "Поезд в город отправляется в восемь часов утра.",
    "Το τρένο για την πόλη φεύγει στις οκτώ το πρωί.",
    "يغادر القطار إلى المدينة في الثامنة صباحا.",
    "शहर जाने वाली ट्रेन सुबह आठ बजे निकलती है।",
    "开往城里的火车早上八点出发。",
    "町へ行く電車は朝八時に出発します。",
    "도시로 가는 기차는 아침 여덟 시에 출발합니다.",
)


def write_texts(path: Path, encoder: Path, pairs: bool) -> None:
    """Write sentences as JSON Lines with `text`, and for pairs `text_pair`.

    The file appears complete or not at all.

    Args:
        path: The file.
        encoder: Folder of the checkpoint's tokenizer.
        pairs: Whether every row has two texts; the first one is then a question or a sentence.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in neutral_rows(encoder, pairs)))


def neutral_rows(encoder: Path, pairs: bool) -> Iterator[dict[str, str]]:
    """The sentences as rows, with the column names of `write_texts`."""
    texts = [*_known(encoder), *(_text(number) for number in range(ROWS))][:ROWS]
    for number, text in enumerate(texts):
        if not pairs:
            yield {"text": text}
        else:
            first = ASKED[number // 2 % len(ASKED)] if number % 2 else _sentence(3 * number + 1)
            yield {"text": first, "text_pair": text}


def _text(number: int) -> str:
    count = SENTENCES[number % len(SENTENCES)]
    return " ".join(_sentence(7 * number + at) for at in range(count))


def _sentence(number: int) -> str:
    """Return one of 74,613 sentences. Neighbours differ in every part: the word counts have no common divisor."""
    parts = (words[number % len(words)] for words in (WHO, DOES, WHAT, WHEN))
    return " ".join(parts) + "."


def _known(encoder: Path) -> list[str]:
    """Sentences in other languages that the tokenizer reads without unknown tokens."""
    from tokenizers import Tokenizer

    file = encoder / "tokenizer.json"
    if not file.is_file():
        return []
    unknown = {"[UNK]", "<unk>", str(read_object(encoder / "tokenizer_config.json").get("unk_token"))}
    try:
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return [text for text in OTHERS if unknown.isdisjoint(tokenizer.encode(text).tokens)]
    except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
        raise CheckpointError(f"{file}: not a tokenizer ({panic_reason(error)}); save the tokenizer again") from None
