"""What one end of `ssh://` accepts from the other: no path leaves its folder, and nothing else is removed."""

import os
import platform
from pathlib import Path
from typing import Any

import pytest
from targets_helpers import make_variant, write_script

from edgebert.errors import BundleError, InputError, MissingDependencyError, RunError, TargetError
from edgebert.measure.targets import keeper, open_target
from edgebert.measure.targets import ssh as ssh_module
from edgebert.measure.targets.channel import _answer
from edgebert.measure.targets.payload import bundle_files
from edgebert.measure.variants import Variant

NAME = "ssh://pi@board"
BAD = ["../x", "/x", "a/../../x", "..", ".", "", "a//b", "a/./b", "a\0b", None, 7, ["a"]]


@pytest.mark.parametrize("path", BAD)
def test_the_far_end_takes_no_path_out_of_its_folder(path: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not below its folder"):
        keeper.inside(str(tmp_path), path)


def test_the_far_end_follows_no_link_out_of_its_folder(tmp_path: Path) -> None:
    folder, outside = tmp_path / "there", tmp_path / "there-too"
    folder.mkdir()
    outside.mkdir()
    (folder / "sub").symlink_to(outside)
    with pytest.raises(ValueError, match="not below its folder"):
        keeper.inside(str(folder), "sub/x")
    assert keeper.inside(str(folder), "a/b") == str(folder / "a" / "b")
    with pytest.raises(ValueError, match="not below its folder"):
        keeper.inside("", "x")


class Received(keeper.Connection):
    """A connection that has received these bytes."""

    def __init__(self, folder: Path, data: bytes) -> None:
        super().__init__()
        self.own(str(folder))
        self._left = data

    def _block(self) -> bytes:
        raise keeper.Closed


def test_the_far_end_overwrites_nothing_and_goes_on_behind_a_refused_file(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    (tmp_path / "mine").write_text("keep")
    (folder / "link").symlink_to(tmp_path / "mine")
    (folder / "old").write_text("old")
    puts = b"".join(
        b'{"op": "put", "path": "%s", "bytes": 3}\nnew' % path for path in (b"../mine", b"link", b"old", b"sub/new")
    )
    received = Received(folder, puts + b'{"op": "ready"}\n')
    received.read()
    assert received.events.get()["op"] == "ready"
    assert received.refused
    assert "'../mine', which is not below its folder" in received.write_error
    assert (tmp_path / "mine").read_text() == "keep"
    assert (folder / "old").read_text() == "old"
    assert (folder / "sub" / "new").read_text() == "new"


def test_the_far_end_does_not_work_in_a_folder_that_has_taken_its_own_ones_place(tmp_path: Path) -> None:
    folder, mine = tmp_path / "there", tmp_path / "mine"
    for each in (folder, mine):
        each.mkdir()
    received = Received(folder, b'{"op": "put", "path": "new", "bytes": 3}\nnew{"op": "ready"}\n')
    folder.rename(tmp_path / "moved")
    folder.symlink_to(mine)
    received.read()
    assert received.refused
    assert "has replaced its temporary folder" in received.write_error
    answer = keeper.run_or_full(received, {"job": {}, "timeout_s": 5})
    assert "has replaced its temporary folder" in answer["failed"]
    assert not list(mine.iterdir())


def test_a_job_is_not_written_through_a_link(tmp_path: Path) -> None:
    folder, mine = tmp_path / "there", tmp_path / "mine"
    folder.mkdir()
    mine.write_text("keep")
    for name in ("job", "answer", "complaint"):
        (folder / name).symlink_to(mine)
    answer = keeper.run_or_full(Received(folder, b""), {"job": {}, "timeout_s": 60})
    assert answer == {"failed": "KeyError: 'scenario'"}
    assert mine.read_text() == "keep"
    assert not (folder / "job").is_symlink()


@pytest.mark.parametrize("line", [b"[]", b"7", b'{"op": "put"}', b'{"op": "put", "path": "a"}', b"[" * 100_000, b"{}"])
def test_the_far_end_ends_at_a_message_that_is_none(line: bytes, tmp_path: Path) -> None:
    received = Received(tmp_path, line + b"\n")
    received.read()
    assert received.events.get(timeout=5) is None


@pytest.mark.parametrize("name", ["../evil", "/etc/hostname", "a\\b", "C:x"])
def test_a_path_that_leaves_the_bundle_is_never_sent(name: str, tmp_path: Path) -> None:
    variant = make_variant(tmp_path / "b")
    entry = variant.manifest.files[0]
    entry.path = name
    with pytest.raises(BundleError, match="leads out of the bundle"):
        bundle_files([variant])


def test_a_file_that_a_link_leads_to_is_never_sent(tmp_path: Path) -> None:
    variant = make_variant(tmp_path / "b")
    (variant.folder / "model.onnx").unlink()
    (variant.folder / "model.onnx").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="leads out of the bundle"):
        bundle_files([variant])


def test_a_refusal_of_the_far_end_is_told_and_its_folder_is_empty_outside(
    variant: Variant, there: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One end sends invalid data: the other end must handle it."""
    evil = {"../evil.txt": variant.folder / "model.onnx"}
    monkeypatch.setattr(ssh_module, "bundle_files", lambda variants: (evil, {}))
    with (
        pytest.raises(InputError, match=r"refuses to write '\.\./evil\.txt'"),
        open_target(NAME, [variant], None, print),
    ):
        pass
    assert not list(there.iterdir())


@pytest.mark.parametrize(
    ("replaced", "key"),
    [
        ("/edgebert-=/home-", "folder"),
        ("/edgebert-=/../edgebert-", "folder"),
        ('"folder": "=" folder": "', "folder"),
        ('"bits": 64="bits": "64"', "bits"),
        ('"machine": "="machine": ["', ""),
        ('"free_bytes": ="free_bytes": 1' + "0" * 100, "free_bytes"),
        ('"free_bytes": ="free_bytes": 1' + "0" * 400, ""),
        ('"free_bytes": ="free_bytes": -', "free_bytes"),
        (r"/edgebert-=/\ud800/edgebert-", ""),
        (r"/edgebert-=/\u009b31m/edgebert-", "folder"),
    ],
)
def test_a_machine_that_greets_strangely_is_refused_and_nothing_is_removed_there(
    replaced: str, key: str, variant: Variant, there: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SSH_REPLACES", replaced)
    with pytest.raises(TargetError) as caught, open_target(NAME, [variant], None, print):
        pass
    assert f"{NAME}: the machine sent {key}" in str(caught.value) or (not key and "machine sent {" in str(caught.value))
    # One connection: the one that removes a folder by `rm -rf` was never made.
    assert Path(os.environ["FAKE_SSH_LOG"]).read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("folder", "holds"),
    [
        ("/tmp/edgebert-ab12_x9z", True),
        ("/var/tmp/edgebert-abcdefgh", True),
        ("/home/a b/edgebert-abcdefgh", True),
        ("/edgebert-abcdefgh", True),
        *((folder, False) for folder in ("/", "/home", "/tmp/edgebert-", "edgebert-abcd", "/a/../edgebert-abcd")),
        *((folder, False) for folder in ("/tmp/edgebert-abcd/..", "/tmp//edgebert-abcd", "/./edgebert-abcd", "~")),
        *((folder, False) for folder in ("/tmp/edgebert-abcd\n", "/a\n/edgebert-abcd", "/tmp/edgebert-ab cd", "")),
        *((f"/tmp/{odd}/edgebert-abcd", False) for odd in ("\ud800", "\x9b31m", "\u202e", "\x7f", "é", "\t")),
    ],
)
def test_only_a_temporary_folder_of_ours_is_ever_removed(folder: str, holds: bool) -> None:
    import re

    assert bool(re.fullmatch(ssh_module.FOLDER, folder)) is holds


@pytest.mark.parametrize(
    "document", ["{}", "[1]", '"x"', "null", "7", '{"versions": "x"}', '{"versions": {"numpy": 2}}']
)
def test_an_environment_of_another_form_is_told(
    document: str, variant: Variant, there: Path, stand_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"print({document!r})"
    ssh_module.device_half()["edgebert/measure/child.py"].write_text(script)
    write_script(tmp_path / "x86" / "qemu-x86_64", f"#!/bin/sh\necho '{document}'\n")
    monkeypatch.setenv("EDGEBERT_X86", str(tmp_path / "x86"))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    for name in (NAME, "qemu://haswell"):
        with open_target(name, [variant], None, print) as machine, pytest.raises(TargetError) as caught:
            machine.environment()
        assert str(caught.value).startswith(f"{name}: environment answered with")
        assert str(caught.value).endswith("altered or is another version, run the same command again")


@pytest.mark.parametrize("said", [r'"x": "\ud800"', r'"\udfff": 1', '"x": 1, "x": 2', '"x": 1e999'])
def test_an_answer_that_cannot_be_written_again_is_refused(said: str) -> None:
    with pytest.raises(
        TargetError, match=r"^ssh://board: the machine sent .* \(.*\), which is not an answer of EdgeBERT"
    ):
        _answer("ssh://board", f'{{"document": {{{said}}}}}')
    assert _answer("ssh://board", '{"outputs": [NaN]}')


@pytest.mark.parametrize(
    ("said", "lie"),
    [
        ('"document": ', '"overtime": true, "document": '),
        ('"document": ', '"overtime": 1, "document": '),
        ('"document": ', '"full": null, "document": '),
        ('"document": ', '"full": "", "document": '),
        ('"document": ', '"failed": {"a": 1}, "document": '),
        ('"refused": false', '"refused": 0'),
        ('"write_error": ""', '"write_error": null'),
    ],
)
def test_an_outcome_that_the_far_end_never_has_is_refused(
    said: str, lie: str, variant: Variant, there: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh_module.device_half()["edgebert/measure/child.py"].write_text("print('{}')")
    monkeypatch.setenv("FAKE_SSH_REPLACES", f"{said}={lie}")
    with (
        pytest.raises(
            TargetError, match=r"^ssh://pi@board: the machine sent \{.*, which is not an answer of EdgeBERT; "
        ),
        open_target(NAME, [variant], None, print) as machine,
    ):
        machine.environment()
    assert not list(there.iterdir())


def test_a_job_that_takes_too_long_is_told(
    variant: Variant, there: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh_module.device_half()["edgebert/measure/child.py"].write_text("import time; time.sleep(60)")
    monkeypatch.setattr("edgebert.measure.process.TIMEOUT_S", 1)
    with (
        pytest.raises(RunError, match=r"^environment took more than 1 s"),
        open_target(NAME, [variant], None, print) as machine,
    ):
        machine.environment()


NEEDED = "numpy onnxruntime tokenizers"


@pytest.mark.parametrize(
    ("python", "remedy"),
    [
        ("/usr/bin/python3.11", f"no numpy (/usr/bin/python3.11); there: /usr/bin/python3.11 -m pip install {NEEDED}"),
        ("/x; echo y #", f"no numpy; install {NEEDED} there"),
        ("/x\n", f"no numpy; install {NEEDED} there"),
    ],
)
def test_a_remedy_repeats_no_command_of_the_far_end(python: str, remedy: str) -> None:
    there = ssh_module.Greeting("/f", 1, "x86_64", 64, python, "no numpy")
    with pytest.raises(MissingDependencyError) as caught:
        ssh_module._check(NAME, there, 1, [], print)
    assert str(caught.value) == f"{NAME}: {remedy}"
