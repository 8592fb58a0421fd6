"""Read how a checkpoint's head writes its tags, and which scheme they follow."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from edgebert.compress.json_file import first_class
from edgebert.data.tags import OUTSIDE, PREFIXES, Scheme, is_tag
from edgebert.errors import DataError
from edgebert.strict_json import Json

# For example B-PER or B_PER; other schemes also have L-PER and U-PER (BILOU) or M-PER and W-PER (BMEWO).
WRITTEN = re.compile(r"([BIESLUMW])[-_](.+)", re.DOTALL)
PREFIX = re.compile(r"([^\W\d_])[-_](.+)", re.DOTALL)
SUFFIX = re.compile(r"(.+)[-_]([BIESLUMW])", re.DOTALL)
# Other letters for E (last word of an entity), S (single word) and I (words between).
SAME = {"L": "E", "U": "S", "M": "I", "W": "S"}
# Name of an output that the config does not name.
UNNAMED = re.compile(r"LABEL_\d+")
# Config entry that names the tags of a head.
NAMED = "id2label in config.json"
# Type of entities whose tags have no type.
NO_TYPE = "ENTITY"


def written_plainly(head: Sequence[str], names: Mapping[str, str], scheme: str = "") -> list[str]:
    """Rewrite a head's tags in this project's form: prefix, hyphen, type.

    Lower-case prefixes, and prefixes after the type, are recognised too.

    A tag without a prefix covers one word if other tags have a prefix (X, [CLS]) or no tag is O (parts of speech). If O
    is the only other kind, neighbouring words with the same tag form one entity, as in transformers, unless the scheme
    is WORDS.

    Args:
        head: The head's tags.
        names: The recipe's names: each maps a whole tag of the head to another tag.
        scheme: The recipe's, if it states one.
    """
    renamed = _prefixed([names.get(tag, tag) for tag in head])
    bare = all(tag.rstrip("-_") in ("O", "B", "I", "E", "S", "L", "U", "M", "W") for tag in renamed)
    typed = [f"{tag.rstrip('-_')}-{NO_TYPE}" if bare and tag != OUTSIDE else tag for tag in renamed]
    if _is_mixed(typed):
        return typed
    plain = list(map(_plain, typed))
    loose = {tag for tag in plain if tag != OUTSIDE and not WRITTEN.fullmatch(tag)}
    if any(map(UNNAMED.fullmatch, loose)) or _has_other_prefix(loose, plain):
        return plain
    prefix = _prefix_of(loose, plain, scheme)
    return [f"{prefix}-{tag}" if tag in loose else tag for tag in plain]


def own_scheme(tags: Sequence[str], config: Mapping[str, Json]) -> Scheme | None:
    """Scheme of a checkpoint's tags; None too if they look like labels of words, but the head is for whole texts.

    Tags without prefixes look like labels of whole texts, so `architectures` must not name another kind of head.

    Args:
        tags: The head's tags in this project's form (`written_plainly`).
        config: The checkpoint's config.json.
    """
    scheme, first = scheme_of(tags), first_class(config)
    return None if scheme == "WORDS" and first and not first.endswith("ForTokenClassification") else scheme


def scheme_of(tags: Sequence[str]) -> Scheme | None:
    """Scheme of a head's tags; None if they follow none, or lack the O that their scheme needs.

    A head with I- tags alone follows IOB1. One with B- and I- tags may follow BIO or IOB1, and is taken for BIO.
    """
    if OUTSIDE not in tags:
        return "WORDS" if all(is_tag(tag, "WORDS") for tag in tags) else None
    prefixes = {tag[0] for tag in tags if tag != OUTSIDE}
    scheme: Scheme = "BIOES" if prefixes & {"E", "S"} else "BIO" if "B" in prefixes else "IOB1"
    return scheme if OUTSIDE in tags and all(is_tag(tag, scheme) for tag in tags) else None


def check_scheme(tags: Sequence[str], head: Sequence[str], scheme: Scheme) -> None:
    """Refuse a head whose tags do not follow the scheme, or cannot begin an entity in it.

    Raises:
        DataError: Names the tags, and the setting that states their scheme.
    """
    # Without O, tags that had no prefix are the labels of whole texts, unless the scheme is WORDS.
    checked = tags if OUTSIDE in tags or scheme == "WORDS" else [_plain(name) for name in head]
    wrong = [name for name, tag in zip(head, checked, strict=True) if not is_tag(tag, scheme)]
    if wrong or (OUTSIDE not in tags and scheme != "WORDS"):
        raise DataError(
            f"{NAMED}: the checkpoint's head has {', '.join(map(repr, wrong[:5])) or 'no O'}, expected {scheme} tags "
            f"(O, {', '.join(f'{prefix}-TYPE' for prefix in PREFIXES[scheme])}); map each to a tag with "
            f'--labels or in data.label_names ({{ {wrong[0] if wrong else head[0]} = "B-TYPE" }}), set head.scheme, '
            "or finetune.when to always"
        )
    lost = sorted({tag[2:] for tag in tags if tag[0] == "I"} - {tag[2:] for tag in tags if tag[0] in "BS"})
    if scheme != "IOB1" and lost:
        raise DataError(
            f"{NAMED}: the checkpoint's head has I-{lost[0]} but no B-{lost[0]}, so in {scheme} no {lost[0]} entity "
            'can begin; set head.scheme to "IOB1" (--set head.scheme=IOB1)'
        )


def _plain(tag: str) -> str:
    found = WRITTEN.fullmatch(tag)
    if found is None:
        return tag
    prefix, kind = found.groups()
    return f"{SAME.get(prefix, prefix)}-{kind}"


def _prefixed(tags: Sequence[str]) -> list[str]:
    """Put prefixes first and in capitals if all tags use another form, such as b-per and o, or PER-B."""
    others = [tag for tag in tags if tag not in ("O", "o")]
    if others and all(tag[:1].islower() and WRITTEN.fullmatch(tag[:1].upper() + tag[1:]) for tag in others):
        return [tag[:1].upper() + tag[1:] for tag in tags]
    found = [SUFFIX.fullmatch(tag) for tag in others]
    if "O" in tags and found and all(found) and not any(map(WRITTEN.fullmatch, others)):
        return [tag if tag == OUTSIDE else SUFFIX.sub(r"\2-\1", tag) for tag in tags]
    return list(tags)


def _is_mixed(tags: Sequence[str]) -> bool:
    """Whether there is an M- or W- prefix outside BMEWO, which has E- as well."""
    written = {found[1] for tag in tags if (found := WRITTEN.fullmatch(tag))}
    return bool(written & {"M", "W"}) and "E" not in written


def _has_other_prefix(loose: Collection[str], tags: Sequence[str]) -> bool:
    """Whether a tag has an unknown one-letter prefix before another tag's type: P-PER beside B-PER."""
    types = {tag[2:] for tag in tags if WRITTEN.fullmatch(tag)}
    return any((found := PREFIX.fullmatch(tag)) is not None and found[2] in types for tag in loose)


def _prefix_of(loose: Collection[str], tags: Sequence[str], scheme: str) -> str:
    """Prefix to add to the tags of a head that have none."""
    written = {tag[0] for tag in tags if tag not in loose and tag != OUTSIDE}
    if not written and OUTSIDE in tags and scheme != "WORDS":
        return "I"
    return "S" if written & {"E", "S"} else "B"
