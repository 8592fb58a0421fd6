"""Start of the remote end of `ssh://`: after output of a login script, and failures of its program."""

from pathlib import Path

import pytest

from edgebert.errors import InputError
from edgebert.measure.targets import channel, keeper, open_target
from edgebert.measure.variants import Variant

NAME = "ssh://pi@board:2222"


@pytest.mark.parametrize("fails", ["import_error", "free_bytes", "main"])
@pytest.mark.usefixtures("there")
def test_a_program_that_fails_there_is_not_taken_for_a_user_without_a_shell(
    fails: str, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(keeper.__file__).read_text()
    (tmp_path / "keeper.py").write_text(
        source.replace("\n\nif __name__", f'\n\ndef {fails}(*given):\n    raise TypeError("odd")\n\n\nif __name__')
    )
    monkeypatch.setattr(keeper, "__file__", str(tmp_path / "keeper.py"))
    with pytest.raises(InputError) as caught, open_target(NAME, [variant], None, print):
        pass
    assert str(caught.value) == (
        f"{NAME}: EdgeBERT's program failed there (TypeError: odd); check the Python there, or name another one with "
        f"EDGEBERT_PYTHON"
    )


@pytest.mark.usefixtures("stand_in")
def test_a_login_script_may_leave_its_last_line_without_an_end(
    there: Path, variant: Variant, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SSH_PREFIX", "printf 'welcome to the board'; ")
    monkeypatch.setattr(channel, "PATIENCE_S", 5.0)
    with open_target(NAME, [variant], data, print) as machine:
        assert (
            machine.child({"bundle": str(variant.folder), "data": str(data.resolve()), "scenario": "look"})["model"]
            == "model of bundle"
        )
    assert not list(there.iterdir())
