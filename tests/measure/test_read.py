"""Reading a result: everything that does not match the format is an error in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from result_documents import document, full, write

from edgebert.errors import InputError
from edgebert.measure.read import read_result, role_of


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_result(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_result_is_read_by_its_file_or_its_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "run", full())
    assert read_result(path) == read_result(tmp_path / "run") == json.loads(path.read_text())


def test_a_recorded_result_is_read() -> None:
    for path in (Path(__file__).parents[2] / "bench" / "results").glob("*/result.json"):
        assert read_result(path)["cases"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not valid JSON"),
        (b'{"format": "edgebert-result", "format_ver', "not valid JSON"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[1, 2]", "not a result of `edgebert bench`"),
        (b'{"rounds": []}', "not a result of `edgebert bench`"),
        (b'{"format": "edgebert-bundle", "format_version": 1}', "not a result of `edgebert bench`"),
        (b'{"format": "edgebert-result", "format_version": 2}', "format version 2, this EdgeBERT reads version 1"),
        (b'{"format": "edgebert-result"}', "format version None, this EdgeBERT reads version 1"),
        (b'{"format": "edgebert-result", "format_version": 1}', "damaged, no 'command'"),
        (b'{"format": NaN}', "NaN is not a JSON number"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_not_a_result_is_told(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(content)
    message = refused(tmp_path)
    assert message.startswith(f"{tmp_path / 'result.json'}: ")
    assert said in message


def test_a_result_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.json").startswith(f"{tmp_path / 'none.json'}: no such file; give the result.json")
    assert refused(tmp_path).startswith(f"{tmp_path / 'result.json'}: no such file;")


def damaged(at: str, value: Any) -> dict[str, Any]:
    whole: Any = document()
    *parts, last = at.split(".")
    inner = whole
    for part in parts:
        inner = inner[int(part) if part.isdigit() else part]
    inner[last] = value
    return whole


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        ("cases", {}, "'cases' is '{}', expected a list of objects"),
        ("cases", [1], "'cases' is '[1]', expected a list of objects"),
        ("environment", None, "'environment' is 'None', expected an object"),
        *(
            ("environment.versions", value, f"'environment.versions' is {str(value)!r}, expected an object of texts")
            for value in ("x", [1], -5, {"numpy": 2})
        ),
        ("environment.gemm", -1, "'environment.gemm' is '-1', expected an object"),
        *(
            ("environment.gemm", {"peaks": value}, f"'environment.gemm.peaks' is '{value}', expected a list of objects")
            for value in (1, [None])
        ),
        (
            *("environment.gemm", {"peaks": [{"precision": [], "rows": 1, "gmacs": 2.5}]}),
            "'environment.gemm.peaks[0].precision' is '[]', expected a text",
        ),
        ("environment.gemm", {"peaks": [{"precision": "int8", "rows": 1}]}, "no 'environment.gemm.peaks[0].gmacs'"),
        ("ratios.0.value", "4", "'ratios[0].value' is '4', expected a number above 0"),
        ("ratios.0.ci_low", 0, "'ratios[0].ci_low' is '0', expected a number above 0"),
        ("cases.1.p50_ms", True, "'cases[1].p50_ms' is 'True', expected a number above 0"),
        ("cases.1.p50_ci", [1], "'cases[1].p50_ci' is '[1]', expected two numbers"),
        ("cases.0.lengths", 16, "'cases[0].lengths' is '16', expected natural or a number of tokens"),
        *(
            ("cases.0.lengths", odd, f"'cases[0].lengths' is {odd[:40]!r}, expected natural or a number of tokens")
            for odd in ("²", "٣", "9" * 5000, "0", "16\n", "long")
        ),
        ("cases.0.quality", {"metric": "f1"}, "no 'cases[0].quality.value'"),
        ("cases.1.role", "teacher", "'cases[1].role' is 'teacher', expected baseline, stage or bundle"),
        ("cases.0.operators", ["Gelu"], "'cases[0].operators' is \"['Gelu']\", expected a list of objects"),
    ],
)
def test_damage_is_told_with_its_place(at: str, value: Any, said: str, tmp_path: Path) -> None:
    assert said in refused(write(tmp_path, damaged(at, value)))


def test_keys_that_only_a_later_bench_writes_are_kept(tmp_path: Path) -> None:
    assert read_result(write(tmp_path, document(moon="full")))["moon"] == "full"


@pytest.mark.parametrize(
    ("variant", "stands_for"),
    [
        *(("fp32", "baseline"), ("1-graph", "stage"), ("bundle", "bundle"), ("bundle@openvino", "bundle")),
        *(("big/3-prune@onnxruntime", "stage"), ("big", "bundle"), ("out/fp32", "bundle"), ("5-aware", "stage")),
        *(("2026-11-26-candidate", "bundle"), ("out/3-layers@openvino", "bundle"), ("3-prune/big", "bundle")),
    ],
)
def test_a_variant_of_an_old_result_is_known_by_its_name(variant: str, stands_for: str) -> None:
    assert role_of({"variant": variant}) == stands_for
    assert role_of({"variant": variant, "role": None}) == stands_for


@pytest.mark.parametrize("role", ["baseline", "stage", "bundle"])
def test_a_variant_is_what_its_case_says(role: str) -> None:
    assert role_of({"variant": "1-graph", "role": role}) == role
