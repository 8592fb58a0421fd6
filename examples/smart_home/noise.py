"""Simulate mistakes of a speech recogniser. Each word keeps the number of its slot."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from examples.smart_home.slots import phrases


@dataclass(frozen=True)
class Word:
    """One spoken word. `slot` is the number of its slot in the sentence, or None outside slots."""

    text: str
    slot: int | None = None


Edit = Callable[[Sequence[Word], Random], list[Word]]

FEWEST_WORDS_LEFT = 3
FILLERS = ("uh", "um", "er", "like", "you know", "i mean", "erm")
DROPPABLE = phrases("the, a, an, to, in, of, for, my, me, is, are, it, its, at, i, some, be, that, by")
SOUND_ALIKES: dict[str, tuple[str, ...]] = {
    "add": ("ad", "at"),
    "alarm": ("a lamb", "alarmed"),
    "at": ("add",),
    "blue": ("blew",),
    "bread": ("bred",),
    "bright": ("right",),
    "brighter": ("writer",),
    "buy": ("by",),
    "by": ("buy", "bye"),
    "call": ("cool", "coal"),
    "can": ("cam",),
    "colour": ("cooler",),
    "cooler": ("colour",),
    "dark": ("dock",),
    "darker": ("docker",),
    "date": ("day",),
    "degrees": ("the grease", "decrees"),
    "dim": ("them", "din"),
    "down": ("town", "dawn"),
    "eight": ("ate",),
    "fan": ("van",),
    "fifteen": ("fifty",),
    "flour": ("flower",),
    "for": ("four",),
    "four": ("for",),
    "forty": ("fourteen",),
    "green": ("grin",),
    "hall": ("haul",),
    "hear": ("here",),
    "heat": ("heed", "eat"),
    "heater": ("eater",),
    "heating": ("eating",),
    "hour": ("our",),
    "hours": ("ours",),
    "house": ("mouse",),
    "in": ("and", "inn"),
    "kettle": ("cattle",),
    "lamp": ("lamb", "ramp"),
    "let": ("led",),
    "light": ("like", "right", "lied"),
    "lights": ("lice", "likes"),
    "list": ("lift", "least"),
    "louder": ("ladder",),
    "low": ("slow",),
    "lower": ("lore",),
    "make": ("may", "bake"),
    "milk": ("silk",),
    "minutes": ("minute", "minus"),
    "morning": ("mourning",),
    "movie": ("moving",),
    "music": ("muse it", "musing"),
    "night": ("knight", "nine"),
    "off": ("of",),
    "on": ("an", "own"),
    "one": ("won",),
    "past": ("passed",),
    "phone": ("foam",),
    "play": ("pray", "clay"),
    "pink": ("ping",),
    "put": ("but",),
    "quiet": ("quite",),
    "red": ("read",),
    "remind": ("rewind", "refined"),
    "reminder": ("remainder",),
    "ring": ("wring", "bring"),
    "room": ("rum",),
    "scene": ("seen",),
    "set": ("sat", "said"),
    "seven": ("heaven",),
    "some": ("sum",),
    "song": ("sung",),
    "sound": ("found",),
    "speak": ("peak",),
    "start": ("dart", "star"),
    "stop": ("shop",),
    "switch": ("which",),
    "talk": ("torque",),
    "temperature": ("temper chair",),
    "ten": ("then",),
    "the": ("a", "they"),
    "thirteen": ("thirty",),
    "time": ("thyme", "dime"),
    "timer": ("tamer", "time a"),
    "to": ("two", "too"),
    "tonight": ("to night",),
    "track": ("truck",),
    "turn": ("ten", "torn", "tone"),
    "two": ("to", "too"),
    "up": ("op",),
    "volume": ("volumes",),
    "wake": ("weak", "make"),
    "warm": ("worm",),
    "warmer": ("former",),
    "week": ("weak",),
    "white": ("wide",),
}


def add_noise(words: Sequence[Word], random: Random) -> list[Word]:
    """Return the words after one or two mistakes. Every slot keeps at least one word.

    A mistake that does not apply to these words is skipped, so the result may equal the input.

    Args:
        words: The clean sentence.
        random: The random number generator.
    """
    edits: tuple[Edit, ...] = (_mishear, _drop, _repeat, _hesitate, _cut_start, _cut_end)
    noised = list(words)
    for edit in random.choices(edits, weights=(38, 18, 12, 16, 8, 8), k=random.choice((1, 2))):
        noised = edit(noised, random)
    return noised


def _mishear(words: Sequence[Word], random: Random) -> list[Word]:
    places = [place for place, word in enumerate(words) if word.text in SOUND_ALIKES]
    if not places:
        return list(words)
    place = random.choice(places)
    heard = random.choice(SOUND_ALIKES[words[place].text])
    replacement = [Word(text, words[place].slot) for text in heard.split()]
    return [*words[:place], *replacement, *words[place + 1 :]]


def _drop(words: Sequence[Word], random: Random) -> list[Word]:
    places = [
        place
        for place, word in enumerate(words)
        if word.text in DROPPABLE and _may_lose(words, slice(place, place + 1))
    ]
    if not places:
        return list(words)
    place = random.choice(places)
    return [*words[:place], *words[place + 1 :]]


def _repeat(words: Sequence[Word], random: Random) -> list[Word]:
    place = random.randrange(len(words))
    return [*words[: place + 1], *words[place:]]


def _hesitate(words: Sequence[Word], random: Random) -> list[Word]:
    place = random.randrange(len(words))
    # A filler word inside a slot must belong to the slot; otherwise the slot would not be one span.
    inside = place > 0 and words[place - 1].slot == words[place].slot
    slot = words[place].slot if inside else None
    return [*words[:place], *(Word(text, slot) for text in random.choice(FILLERS).split()), *words[place:]]


def _cut_start(words: Sequence[Word], random: Random) -> list[Word]:
    lost = slice(0, random.choice((1, 2)))
    return list(words[lost.stop :]) if _may_lose(words, lost) else list(words)


def _cut_end(words: Sequence[Word], random: Random) -> list[Word]:
    lost = slice(len(words) - 1, len(words))
    return list(words[: lost.start]) if _may_lose(words, lost) else list(words)


def _may_lose(words: Sequence[Word], lost: slice) -> bool:
    gone = words[lost]
    before = Counter(word.slot for word in words)
    after = before - Counter(word.slot for word in gone)
    slots_survive = all(after[slot] > 0 for slot in before if slot is not None)
    return slots_survive and len(words) - len(gone) >= FEWEST_WORDS_LEFT
