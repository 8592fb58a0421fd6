"""Slot values of the synthetic smart-home corpus, and the split that may use each of them."""

from collections.abc import Sequence

POOLS = ("train", "validation", "test")


def phrases(block: str) -> tuple[str, ...]:
    """Return the phrases of a block of text. Commas and line ends separate them."""
    return tuple(phrase.strip() for phrase in block.replace("\n", ",").split(",") if phrase.strip())


_TENS = phrases("twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety")
_SMALL = phrases("""
    zero, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen,
    fifteen, sixteen, seventeen, eighteen, nineteen
""")
_WEEKDAYS = phrases("monday, tuesday, wednesday, thursday, friday, saturday, sunday")


def number_words(number: int) -> str:
    """Spell a whole number as a speech recogniser writes it, such as "twenty one".

    Args:
        number: From 0 to 100.

    Raises:
        ValueError: The number is outside that range.
    """
    if not 0 <= number <= 100:
        raise ValueError(f"number_words spells 0 to 100, not {number}")
    if number == 100:
        return "one hundred"
    if number < 20:
        return _SMALL[number]
    tens = _TENS[number // 10 - 2]
    return tens if number % 10 == 0 else f"{tens} {_SMALL[number % 10]}"


def select_pool(rows: Sequence[str], pool: str) -> tuple[str, ...]:
    """Return the rows of one pool: six ninths are for train, two for test, one for validation.

    The pool depends on the row's position in its table, so it is the same for every seed.

    Args:
        rows: A table of at least nine rows.
        pool: One of `POOLS`.

    Raises:
        ValueError: The pool is unknown.
    """
    if pool not in POOLS:
        raise ValueError(f"unknown pool {pool!r}; choose one of {', '.join(POOLS)}")
    return tuple(row for place, row in enumerate(rows) if _pool_at(place) == pool)


def _pool_at(place: int) -> str:
    if place % 9 in (2, 6):
        return "test"
    return "validation" if place % 9 == 8 else "train"


def _percentages() -> tuple[str, ...]:
    words = phrases("""
        half, full brightness, the minimum, maximum, the lowest setting, a third, a quarter, full power,
        medium, a soft glow, two thirds, night level
    """)
    return tuple(f"{number_words(n)} percent" for n in range(5, 101, 5)) + words


def _temperatures() -> tuple[str, ...]:
    whole = tuple(f"{number_words(n)} degrees" for n in range(14, 28))
    halves = tuple(f"{number_words(n)} and a half degrees" for n in range(17, 24))
    return whole + halves + tuple(f"{number_words(n)} celsius" for n in range(16, 25))


def _durations() -> tuple[str, ...]:
    usual = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 20, 25, 35, 40)
    minutes = tuple(f"{number_words(n)} minutes" for n in usual)
    seconds = tuple(f"{number_words(n)} seconds" for n in (20, 30, 45, 50, 90))
    hours = tuple(f"{number_words(n)} hours" for n in (2, 3, 4, 6, 8))
    words = phrases("""
        half an hour, a quarter of an hour, an hour, an hour and a half, one minute, two and a half hours,
        three quarters of an hour, a minute and a half, an hour and ten minutes
    """)
    return minutes + seconds + hours + words


def _clock_times() -> tuple[str, ...]:
    forms = (
        "{} o clock",
        "half past {}",
        "quarter past {}",
        "quarter to {}",
        "{} thirty",
        "{} a m",
        "{} p m",
    )
    times = tuple(form.format(number_words(hour)) for hour in range(1, 13) for form in forms)
    return (*times, "noon", "midnight", "lunch time", "dinner time", "sunset", "bed time", "dawn")


def _dates() -> tuple[str, ...]:
    named = phrases("""
        tomorrow, today, this weekend, tonight, tomorrow morning, tomorrow evening, this afternoon,
        the day after tomorrow, next week, later today, on my birthday, at the weekend
    """)
    days = tuple(f"on {day}" for day in _WEEKDAYS) + tuple(f"next {day}" for day in _WEEKDAYS)
    mornings = tuple(f"{day} morning" for day in _WEEKDAYS)
    places = (
        "first of may",
        "first of june",
        "third of may",
        "third of june",
        "tenth of may",
        "tenth of june",
    )
    return named + days + mornings + tuple(f"on the {place}" for place in places)


SLOT_VALUES: dict[str, tuple[str, ...]] = {
    "room": phrases("""
        kitchen, living room, study, bedroom, bathroom, hallway, nursery, garage, conservatory,
        guest room, dining room, attic, office, basement, laundry room, playroom, lounge, utility room,
        kids room, porch, cellar, spare room, front room, landing, sun room, workshop, pantry
    """),
    "light": phrases("""
        lights, lamp, spotlights, light, ceiling light, floor lamp, wall lights, desk lamp, chandelier,
        bedside lamp, reading lamp, standing lamp, main light, table lamp, side lights, night light,
        big light, downlights, corner lamp, overhead lights, small lamp, fairy lights, string lights,
        led strip
    """),
    "device": phrases("""
        fan, television, dehumidifier, kettle, coffee machine, heater, air purifier, washing machine,
        toaster, radio, dishwasher, vacuum cleaner, oven, air conditioner, humidifier, speaker,
        tumble dryer, sprinkler, robot mower, projector, electric blanket, slow cooker, games console,
        towel rail, rice cooker
    """),
    "colour": phrases("""
        red, blue, turquoise, green, yellow, purple, amber, orange, lavender, pink, warm white, crimson,
        cool white, violet, gold, magenta, teal, peach, dark blue, light green, indigo, soft pink,
        deep red, ivory, lilac, pale yellow, mint green
    """),
    "brightness": _percentages(),
    "temperature": _temperatures(),
    "duration": _durations(),
    "time": _clock_times(),
    "date": _dates(),
    "volume": phrases("""
        level one, level two, level three, level four, level five, level six, level seven, level eight,
        level nine, level ten, half volume, a whisper, full volume, full blast, four out of ten,
        seven out of ten, background level, two out of ten, normal volume, party level, nine out of ten,
        a low murmur
    """),
    "song": phrases("""
        paper boats, midnight orchard, copper skies, the long way home, blue bicycle, wait for winter,
        salt and honey, under the pier, silver lanterns, dancing on gravel, turn the lights down,
        slow river, hold the door, nineteen summers, red umbrella, alarm clock heart, cold coffee,
        a room for two, sunday engine, timer boy, leave it on, glass garden, seven doors, warm hands,
        kitchen floor waltz, north of nowhere, dim star
    """),
    "artist": phrases("""
        the velvet otters, nora valentine, the brass kites, max hollow, green harbour, the lamp posts,
        ida moon, silent tractor, the sunday drivers, pebble choir, rosa winterfield, the cold kettles,
        theo marsh, blue attic, the quiet alarms, hannah and the hills, lost umbrellas, otto brandt,
        the paper foxes, ella north, low tide orchestra, the tin roofs, marlow green, the dimmer switches,
        june harper
    """),
    "genre": phrases("""
        jazz, rock, bossa nova, classical music, hip hop, folk, ambient music, country, reggae,
        piano music, dance music, swing, soul, electronic music, opera, heavy metal, blues, disco,
        film music, pop, drum and bass, acoustic guitar, christmas songs, lullabies, samba
    """),
    "scene": phrases("""
        movie night, party mode, film mode, good night mode, dinner scene, reading time, game night,
        away mode, cosy evening, holiday mode, bath time, homework hour, romantic dinner, morning routine,
        story time, yoga session, relax mode, spring cleaning, guest mode, focus time, sunrise scene,
        siesta, quiet hours, coffee break, welcome home, baby sleep mode, cold night mode
    """),
    "contact": phrases("""
        mum, dad, grandma, anna, uncle joe, the plumber, doctor miller, tom, my brother, my sister, sarah,
        aunt helen, the office, david, the dentist, lucy, my neighbour, grandpa, the babysitter, peter,
        mister chen, my boss, maria, the school, ben from work, the landlord
    """),
    "item": phrases("""
        milk, bread, oat flakes, eggs, butter, coffee, light bulbs, pasta, cheese, apples, toilet paper,
        olive oil, rice, batteries, tomatoes, flour, cat food, dish soap, potatoes, candles, green tea,
        orange juice, chicken, yoghurt, washing powder, honey, onions
    """),
    "task": phrases("""
        take out the bins, water the plants, feed the cat, pay the rent, turn off the oven, take my pills,
        walk the dog, check the heating, lock the back door, charge the car, change the light bulb,
        empty the dishwasher, renew my passport, send the parcel, pick up the kids, clean the filter,
        book the dentist, play with the baby, turn down the heating, defrost the freezer, wake the kids,
        collect the dry cleaning, set the table, hang up the washing, buy stamps, ring the bank,
        switch off the boiler
    """),
}

FILLER_VALUES: dict[str, tuple[str, ...]] = {
    "place": phrases("""
        london, the station, lisbon, the airport, norway, the library, the moon, tokyo, the harbour,
        new york, the museum, iceland, the old town, canada, the beach, paris, the castle, brazil
    """),
    "topic": phrases("""
        dinosaurs, penguins, volcanoes, football, black holes, democracy, honey bees, pirates, glaciers,
        happiness, robots, chess, the weather, submarines, ghosts, the stock market, cricket, elephants
    """),
}


def values(label: str, pool: str) -> tuple[str, ...]:
    """Return the values of one slot type, or of one unlabelled filler, that a pool may use.

    Args:
        label: A key of `SLOT_VALUES` or `FILLER_VALUES`.
        pool: One of `POOLS`.

    Raises:
        KeyError: The label is unknown.
        ValueError: The pool is unknown.
    """
    table = SLOT_VALUES[label] if label in SLOT_VALUES else FILLER_VALUES[label]
    return select_pool(table, pool)


def held_out_values(label: str) -> frozenset[str]:
    """Return the values of one slot type that training never shows.

    Raises:
        KeyError: The label is unknown.
    """
    return frozenset(values(label, "validation") + values(label, "test"))
