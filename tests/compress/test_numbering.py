"""Token ids are the same in every process: of tokenizers that tests train, and of cut vocabularies."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
PROGRAM = """
import hashlib, json, sys
sys.path[:0] = [TESTS, TESTS + "/compress"]
from family_checkpoints import byte_pairs
from test_pieces import KINDS, cut_to, texts, trained
documents = {"byte pairs": byte_pairs()}
for kind in KINDS:
    for seed in (0, 1):
        whole = trained(kind, seed)
        small, kept = cut_to(whole, texts(7, 20), 2)
        documents |= {(kind, seed): json.loads(whole.to_str()), (kind, seed, "cut"): [json.loads(small.to_str()), kept]}
for name, document in documents.items():
    print(name, hashlib.sha256(json.dumps(document, sort_keys=False).encode()).hexdigest())
"""


def hashes(seed: int) -> list[str]:
    program = PROGRAM.replace("TESTS", repr(str(TESTS)))
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def test_trained_and_cut_tokenizers_are_the_same_in_every_process() -> None:
    first = hashes(1)
    assert len(first) == 17
    assert hashes(2) == first
