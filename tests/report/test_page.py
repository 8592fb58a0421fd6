"""Sections: each is present exactly if the result has its data; several runs side by side."""

from pathlib import Path
from typing import Any

import pytest
from result_documents import case, document, full, ratio, write

from edgebert.report.page import make_page
from edgebert.report.parts import Section, Table
from edgebert.report.run import read_runs


def sections(folder: Path, whole: dict[str, Any]) -> dict[str, Section]:
    (chapter,) = make_page(read_runs([write(folder, whole)])).chapters
    return {section.title: section for section in chapter.sections}


def rows(table: Table) -> list[list[str]]:
    return [[f"{cell.text} ({cell.under})" if cell.under else cell.text for cell in row] for row in table.rows]


def test_a_full_result_has_every_section_in_order(tmp_path: Path) -> None:
    found = sections(tmp_path, full())
    assert list(found) == [
        *("Cases", "Ratios", "Latency", "Quality", "Stages", "Memory and start", "Input length", "Compute"),
        *("Estimates", "Machine", "How to reproduce"),
    ]
    assert [plot.title for section in found.values() for plot in section.plots] == [
        *("Times faster: p50, natural lengths", "Latency distribution", "Steadiness over the run"),
        *("Quality over latency", "Stage waterfall", "Memory split", "Cold start split", "Latency over input length"),
    ]


def test_columns_of_intervals_say_what_of(tmp_path: Path) -> None:
    (ratios,) = sections(tmp_path, full())["Ratios"].tables
    assert list(ratios.header) == ["what", "ratio", "95% interval of the ratio"]


def test_a_plain_result_has_the_sections_it_has_data_for(tmp_path: Path) -> None:
    assert list(sections(tmp_path, document())) == [*("Cases", "Ratios", "Quality", "Machine", "How to reproduce")]
    bare = sections(tmp_path, document([case("fp32"), case("bundle")], ratios=[]))
    assert list(bare) == ["Cases", "Machine", "How to reproduce"]
    assert list(sections(tmp_path, document([], ratios=[]))) == ["Machine", "How to reproduce"]


def test_raw_samples_that_do_not_lie_beside_leave_out_the_distribution(tmp_path: Path) -> None:
    whole = document([case("fp32", 8.0, raw="raw/a.json"), case("bundle", 2.0, raw="raw/b.json")])
    assert "Latency" in sections(tmp_path / "with", whole)
    (tmp_path / "with" / "raw" / "a.json").write_text("{")
    (tmp_path / "with" / "raw" / "b.json").write_text('{"rounds": [{"latencies_ns": ["x"]}]}')
    (chapter,) = make_page(read_runs([tmp_path / "with"])).chapters
    assert "Latency" not in [section.title for section in chapter.sections]


def test_a_raw_file_outside_the_folder_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "other", document([case("bundle", 2.0, raw="raw/b.json")]))
    path = write(tmp_path / "run", document([case("bundle", 2.0)]))
    path.write_text(path.read_text().replace('"raw": null', '"raw": "../other/raw/b.json"'))
    (chapter,) = make_page(read_runs([path])).chapters
    assert "Latency" not in [section.title for section in chapter.sections]


def test_cases_stand_in_one_table_a_scenario_with_their_intervals(tmp_path: Path) -> None:
    tables = sections(tmp_path, full())["Cases"].tables
    assert [table.caption for table in tables] == [
        *("Single stream, batch 1, 1 thread", "Offline, natural lengths, batches of at most 32, 1 thread"),
        *("Cold start, natural lengths, batch 1, 1 thread", "Memory, natural lengths, batch 1, 1 thread"),
        "Server, natural lengths, batch 1, 1 thread",
    ]
    single = tables[0]
    assert single.header == (
        *("variant", "lengths", "p50", "p90", "p99", "faster", "cold start", "peak RSS", "model", "accuracy", "J/text"),
        "samples",
    )
    assert rows(single)[2] == [
        *("bundle (onnxruntime)", "natural lengths", "2.00 (1.80–2.20)", "3.00", "4.00", "4.00× (3.75–4.25)"),
        *("200 (190–210)", "50.0", "10.0", "0.9000 (0.880–0.920)", "0.0200 (RAPL package-0)", "40"),
    ]
    assert rows(tables[1])[0] == ["fp32 (onnxruntime)", "500", "6.50 (at most 17)", "50.0", "10.0", "40"]
    memory = rows(tables[3])
    assert [row[0] for row in memory][-1] == "bundle (onnxruntime, arena off)"
    assert [row[tables[3].header.index("smaller")] for row in memory] == ["", "", "", "", "", "1.50× (1.40–1.60)"]
    assert "290/s (of 300, p99 in 50.0 ms)" in rows(tables[4])[0]


def test_a_soak_has_its_memory_at_both_ends(tmp_path: Path) -> None:
    cases = [case("fp32", scenario="soak", peak_rss_mb=64.0, resident={"start_mb": 60.5, "end_mb": 62.0})]
    (table,) = sections(tmp_path, document(cases, ratios=[]))["Cases"].tables
    assert rows(table)[0][table.header.index("RSS, start to end")] == "60.5–62.0"
    assert rows(table)[0][table.header.index("peak RSS")] == "64.0"


@pytest.mark.parametrize(
    ("apart", "unsound", "said"), [(0.07, None, "outputs within 0.0700"), (None, 7, "7 outputs not finite")]
)
def test_answers_elsewhere_have_what_is_known_of_their_outputs(
    apart: float | None, unsound: int | None, said: str, tmp_path: Path
) -> None:
    agreement = {"n": 64, "equal": 61, "share": 0.95, "largest_difference": apart, "not_finite": unsound}
    cases = [case("fp32", None, scenario="agreement", agreement=agreement)]
    (table,) = sections(tmp_path, document(cases, ratios=[]))["Cases"].tables
    assert rows(table)[0][table.header.index("same answers")] == f"61 of 64 ({said})"


def test_operators_stand_slowest_first_and_a_share_has_a_bar(tmp_path: Path) -> None:
    roofline, operators = sections(tmp_path, full())["Compute"].tables
    assert rows(roofline) == [
        *(["bundle (onnxruntime)", "natural lengths", "250 MMAC", "17.0 MB", "150", "375", "40.0%"],),
    ]
    assert roofline.rows[0][-1].bar == 0.4
    assert [row[0] for row in rows(operators)] == ["DynamicQuantizeMatMul", "Gelu"]


def test_the_peaks_of_a_machine_stand_in_a_table(tmp_path: Path) -> None:
    document = full()
    document["environment"]["gemm"] = {
        "threads": 1,
        "peaks": [
            {"precision": "fp32", "rows": 1, "gmacs": 5.45},
            {"precision": "fp32", "rows": 256, "gmacs": 58.36},
            {"precision": "int8", "rows": 256, "gmacs": 445.14},
        ],
    }
    found = sections(tmp_path, document)
    _, peaks, _ = found["Compute"].tables
    assert peaks.header == ("rows (tokens)", "FP32 GMAC/s", "INT8 GMAC/s")
    assert rows(peaks) == [["1", "5.45", ""], ["256", "58.4", "445"]]
    assert not [row for row in rows(found["Machine"].tables[0]) if "gemm" in row[0]]


def test_estimates_are_marked_and_stand_nowhere_else(tmp_path: Path) -> None:
    found = sections(tmp_path, full())
    assert [title for title, section in found.items() if section.estimated] == ["Estimates"]
    assert "Nothing here was measured." in found["Estimates"].about
    elsewhere = [cell for title, section in found.items() if title != "Estimates" for table in section.tables
                 for row in rows(table) for cell in row]  # fmt: skip
    assert rows(found["Estimates"].tables[0]) == [["raspberry-pi-5", "roofline", "12.3", "0.35"]]
    assert not any("raspberry-pi-5" in cell or "12.3" in cell for cell in elsewhere)


def test_how_to_reproduce_has_command_data_hashes_and_checks(tmp_path: Path) -> None:
    whole = full()
    whole["environment"]["versions"] = {"numpy": "2.4.6"}
    section = sections(tmp_path, whole)["How to reproduce"]
    assert section.commands == (whole["command"],)
    told = {table.caption: rows(table) for table in section.tables}
    assert ["data sha256", "ab12" * 16] in told["Suite and data"]
    assert ["the harness itself", "0.200 µs a prediction (a model that does nothing)"] in told["Suite and data"]
    assert told["Versions"] == [["numpy", "2.4.6"]]
    assert told["Hashes of the bundles"][2] == ["bundle", "bundle-hash"]
    assert told["Checks (fail if)"] == [["p50>9", "bundle", "2", "9", "passed"]]


def test_the_machines_state_stands_before_and_after(tmp_path: Path) -> None:
    whole = full()
    whole["environment"] |= {"governor": "powersave", "temperature_c": 51.5}
    section = sections(tmp_path, whole)["Machine"]
    (state,) = [table for table in section.tables if table.caption == "Before and after the run"]
    assert rows(state)[:2] == [["governor", "powersave", "performance"], ["temperature °C", "51.5", ""]]
    assert ["instruction sets", "avx2"] in rows(section.tables[0])
    assert section.details == (("Every processor flag", "avx2 zz"),)


def other_machine() -> dict[str, Any]:
    cases = [case("fp32", 80.0), case("bundle", 40.0)]
    ratios = [ratio("p50, natural lengths: fp32 / bundle", 2.0, 1.9, 2.1)]
    return document(cases, environment={"cpu": "Slow CPU", "cores": 4}, ratios=ratios)


def test_several_runs_stand_side_by_side_and_are_never_divided(tmp_path: Path) -> None:
    paths = [write(tmp_path / "fast", document()), write(tmp_path / "slow", other_machine())]
    page = make_page(read_runs(paths))
    assert [chapter.label for chapter in page.chapters] == ["fast", "slow"]
    assert page.compared is not None
    runs, bundles = page.compared.tables
    assert [row[1] for row in rows(runs)] == ["Some CPU (2 cores)", "Slow CPU (4 cores)"]
    assert bundles.header[3:6] == ("baseline p50 ms", "p50 ms", "faster")
    assert [row[3:6] for row in rows(bundles)] == [
        ["8.00", "2.00", "4.00× (3.50–4.50)"],
        ["80.0", "40.0", "2.00× (1.90–2.10)"],
    ]
    everything = " ".join(cell for table in page.compared.tables for row in rows(table) for cell in row)
    for made_up in (80 / 8, 40 / 2, 80 / 2, 8 / 40, 4 / 2):
        assert f"{made_up:.2f}×" not in everything.replace("2.00× (1.90–2.10)", "")


@pytest.mark.parametrize(("again", "said"), [((3.4, 3.6), "overlap"), ((2.0, 3.0), "do not overlap")])
def test_the_same_bundle_measured_again_tells_whether_the_runs_agree(
    again: tuple[float, float], said: str, tmp_path: Path
) -> None:
    later = document(ratios=[ratio("p50, natural lengths: fp32 / bundle", sum(again) / 2, *again)])
    page = make_page(read_runs([write(tmp_path / "a", document()), write(tmp_path / "b", later)]))
    assert page.compared is not None
    assert page.compared.tables[-1].caption == "The same bundles on the same machine, measured again"
    assert rows(page.compared.tables[-1])[0][-1] == said


@pytest.mark.parametrize(
    ("of_run", "of_baseline", "of_bundle"),
    [
        ({"data": {"file": "test.tsv", "sha256": "cd34" * 16}}, {}, {}),
        ({}, {"bundle_hash": "another"}, {}),
        ({}, {}, {"bundle_hash": "another"}),
        ({}, {}, {"target": "ssh://board"}),
        ({}, {}, {"runtime": "openvino"}),
        ({}, {}, {"threads": 2}),
        ({}, {}, {"server": {"bound_ms": 100.0, "percent": 99.0}}),
    ],
)
def test_what_was_measured_under_other_conditions_was_not_measured_again(
    of_run: dict[str, Any], of_baseline: dict[str, Any], of_bundle: dict[str, Any], tmp_path: Path
) -> None:
    cases = [case("fp32", 8.0), case("bundle", 2.0, server={"bound_ms": 50.0, "percent": 99.0})]
    later = document([cases[0] | of_baseline, cases[1] | of_bundle], **of_run)
    page = make_page(read_runs([write(tmp_path / "a", document(cases)), write(tmp_path / "b", later)]))
    assert page.compared is not None
    assert not [table for table in page.compared.tables if table.caption.endswith("measured again")]


def test_a_single_run_is_compared_with_nothing(tmp_path: Path) -> None:
    assert make_page(read_runs([write(tmp_path, full())])).compared is None


def another(whole: dict[str, Any], at: int) -> dict[str, Any]:
    """A similar result of another run."""
    return {**whole, "null_model": {"p50_us": 0.1 + at}}


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [write(tmp_path / name / "out", another(document(), at)) for at, name in enumerate("abc")]
    named = tmp_path / "pi.json"
    named.write_text(paths.pop().read_text())
    assert [run.label for run in read_runs(paths)] == ["a/out", "b/out"]
    assert [run.label for run in read_runs([named, paths[0].parent])] == ["pi", "out"]


def now(whole: dict[str, Any]) -> dict[str, Any]:
    """The same result in the current format."""
    cases = [{**each, "hashed": True, "hash_ms": 7.0} for each in whole["cases"]]
    return {**whole, "cases": cases, "intervals": {"rounds": "t interval"}}


def test_a_result_says_how_its_intervals_were_computed_and_an_older_one_has_the_bootstrap(tmp_path: Path) -> None:
    for whole, said in (
        (full(), "bootstrap over rounds, too narrow for few rounds"),
        (now(full()), "95% intervals: t interval."),
    ):
        found = sections(tmp_path, whole)
        assert said in found["Cases"].about
        assert said in found["Ratios"].about
        assert said.removeprefix("95% intervals: ").rstrip(".") in found["Ratios"].plots[0].about


def test_runs_of_two_methods_are_not_set_side_by_side_in_silence(tmp_path: Path) -> None:
    older = full()
    paths = [write(tmp_path / "older", older), write(tmp_path / "newer", now(older))]
    compared = make_page(read_runs(paths)).compared
    assert compared is not None
    runs, bundles, again = compared.tables
    assert [row[-1] for row in rows(runs)] == ["bootstrap over rounds, too narrow for few rounds", "t interval"]
    starts = [row[bundles.header.index("cold start ms")] for row in rows(bundles)]
    assert starts == ["200 (hashes not checked)", "200"]
    assert rows(again)[0][-1] == "overlap, by different methods"


def test_ratios_of_two_rounds_have_no_interval_and_are_not_drawn(tmp_path: Path) -> None:
    ratios = [{**each, "ci_low": None, "ci_high": None, "rounds": 2} for each in document()["ratios"]]
    few = document([{**each, "p50_ci": None} for each in document()["cases"]], ratios=ratios)
    found = sections(tmp_path / "few", few)
    assert rows(found["Ratios"].tables[0])[0][-1] == "no interval (2 rounds)"
    assert found["Ratios"].plots == ()
    (single,) = found["Cases"].tables
    assert rows(single)[1][single.header.index("p50")] == "2.00 (no interval)"
    compared = make_page(read_runs([write(tmp_path / name, another(few, at)) for at, name in enumerate("ab")])).compared
    assert compared is not None
    assert rows(compared.tables[-1])[0][1:] == [
        "4.00× (no interval (2 rounds)); 4.00× (no interval (2 rounds))",
        "not every run has one",
    ]


def test_cold_starts_say_whether_hashes_were_checked(tmp_path: Path) -> None:
    left_out = "leave out checking the hashes"
    older, newer = sections(tmp_path, full()), sections(tmp_path, now(full()))
    assert left_out in older["Cases"].about
    assert left_out not in newer["Cases"].about
    start = newer["Cases"].tables[2]
    assert rows(start)[0][start.header.index("of it hashes")] == "7.00"
    captions = [found["Memory and start"].plots[-1].about for found in (older, newer)]
    assert "edgebert.load does" in captions[0]
    assert "hashes of the bundle's files checked" in captions[1]
    peers = {**full(), "suite": {"name": "sst2", "ours": ["EdgeBERT INT8"]}}
    assert left_out not in sections(tmp_path, peers)["Cases"].about
