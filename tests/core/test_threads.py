"""Threads of the native core: inside one run, between runs, in child processes; the answers are those of one thread."""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core_models import LONGEST, module_of, opened_file, vocabulary_of, windows
from family_checkpoints import make_family

from edgebert.runtime.sessions.core import CoreSession, unusable

pytestmark = pytest.mark.skipif(bool(unusable()), reason=unusable())

LENGTHS = (1, 2, 7, 8, 17, 32, 31, 9, 16, 25, 3, 32, 32, 30)


@pytest.fixture(scope="module", params=["token-classification", "text-classification", "similarity"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    module, rows = module_of(make_family(tmp_path_factory.mktemp("bert"), "bert"), request.param)
    return module, opened_file(module, rows, tmp_path_factory.mktemp("core") / "core.bin", full=False)


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_answers_do_not_depend_on_the_number_of_threads(threads: int, model: tuple[Any, Path]) -> None:
    module, file = model
    texts = windows(LENGTHS * 3, vocabulary_of(module), 1)
    one, several = (CoreSession(file, number, module.inputs, ()) for number in (1, threads))
    for chosen in [*([text] for text in texts[:14]), texts]:
        for (found,), (expected,) in zip(several.run_ragged(chosen), one.run_ragged(chosen), strict=True):
            assert np.array_equal(found, expected)


def test_callers_share_a_model(model: tuple[Any, Path]) -> None:
    module, file = model
    texts = windows(LENGTHS, vocabulary_of(module), 1)
    session = CoreSession(file, 2, module.inputs, ())
    expected = [session.run_ragged([text])[0][0] for text in texts]
    wrong: list[int] = []

    def call(seed: int) -> None:
        for at in np.random.default_rng(seed).permutation(len(texts) * 10) % len(texts):
            if not np.array_equal(session.run_ragged([texts[at]])[0][0], expected[at]):
                wrong.append(int(at))

    callers = [threading.Thread(target=call, args=(seed,)) for seed in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_answers_though_its_threads_are_gone(model: tuple[Any, Path]) -> None:
    module, file = model
    texts = windows((LONGEST, 25), vocabulary_of(module), 1)
    session = CoreSession(file, 3, module.inputs, ())
    expected = [answer for (answer,) in session.run_ragged(texts)]
    child = os.fork()
    if not child:
        same = False
        try:
            found = [answer for (answer,) in session.run_ragged(texts)]
            same = all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
        finally:
            os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
