"""The page: one file, no external resources, readable without scripts, escaped names, both colour schemes."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from result_documents import case, document, full, quality, write

from edgebert.report.html import render
from edgebert.report.page import make_page
from edgebert.report.run import read_runs

VOID = {"meta", "link", "br", "img", "input", "hr"}
NASTY = "<script>alert(1)</script> & \"$x$\" '名前' {{ 7 * 7 }} #0a0101"


class Elements(HTMLParser):
    """Elements and text of a page; fails if a tag is not closed correctly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))

    def text_of(self, tag: str) -> list[str]:
        return [text for at, text in self.texts if at == tag]


def page(folder: Path, *documents: dict[str, Any]) -> str:
    return render(make_page(read_runs([write(folder / f"run-{at}", each) for at, each in enumerate(documents)])))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(tmp_path_factory.mktemp("page"), full())


def test_nothing_comes_from_outside_and_nothing_runs(whole: str) -> None:
    elements = Elements(whole)
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base"}
    for _, attributes in elements.found:
        assert not any(name.startswith("on") or name in ("src", "srcset") for name in attributes)
        for name in ("href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert "http-equiv" in next(attributes for tag, attributes in elements.found if "content" in attributes and
                                "default-src 'none'" in str(attributes["content"]))  # fmt: skip
    assert "@import" not in whole
    assert not re.search(r"url\((?!#)", whole)


def test_every_plot_is_drawn_with_its_words(whole: str) -> None:
    elements = Elements(whole)
    drawings = [attributes for tag, attributes in elements.found if tag == "svg"]
    assert len(drawings) == 8
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in drawings)
    assert all("width" not in attributes and attributes["viewbox"] for attributes in drawings)
    words = elements.text_of("text")
    assert {"fp32", "1-graph", "bundle", "tokens", "p50 ms"} <= set(words)


def test_every_colour_follows_the_scheme(whole: str) -> None:
    light, dark = re.findall(r":root \{(.*?)\}", whole, re.DOTALL)
    declared = [set(re.findall(r"(--[\w-]+):", block)) for block in (light, dark)]
    assert declared[0] == declared[1]
    assert "prefers-color-scheme: dark" in whole
    assert set(re.findall(r"var\((--[\w-]+)\)", whole)) <= declared[0]
    for drawing in re.findall(r"<svg.*?</svg>", whole, re.DOTALL):
        assert not re.search(r"(?:fill|stroke): ?#", drawing)
        assert "var(--" in drawing


def test_ids_are_unique_and_every_link_has_its_goal(whole: str) -> None:
    elements = Elements(whole)
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    goals = set(re.findall(r"(?:url\(|href=\")#([\w-]+)", whole))
    assert goals
    assert goals <= set(ids)


def test_it_can_be_read_on_a_phone(whole: str) -> None:
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in whole
    assert "@media (max-width: 720px)" in whole


def test_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    cases = [
        case("fp32", 8.0, bundle=NASTY, quality=quality(0.9, NASTY), raw="raw/a.json"),
        case(NASTY, 2.0, bundle=NASTY, runtime=NASTY, quality=quality(0.9, NASTY), raw="raw/b.json"),
    ]
    steps = [{"variant": name, "p50_ms": ms} for name, ms in (("fp32", 8.0), ("1-$x^2$ & <b>", 4.0), (NASTY, 2.0))]
    nasty = document(
        cases, command=f"edgebert bench {NASTY}", waterfall=steps, environment={"cpu": NASTY, NASTY: NASTY}
    )
    text = page(tmp_path, nasty, {**nasty, "null_model": {"p50_us": 0.3}})
    assert "<script" not in text
    assert "{{ 7 * 7 }}" in text
    elements = Elements(text)
    assert elements.text_of("pre") == [f"edgebert bench {NASTY}"] * 2
    assert {"1-$x^2$ & <b>", "<script>ale…7 }} #0a0101"} <= set(elements.text_of("text"))


def test_estimates_stand_in_a_section_of_their_own_that_says_so(whole: str) -> None:
    (estimate,) = re.findall(r'<section id="[\w-]+" class="estimate">.*?</section>', whole, re.DOTALL)
    assert "estimated, not measured" in estimate
    assert "raspberry-pi-5" in estimate
    assert "raspberry-pi-5" not in whole.replace(estimate, "")


def test_several_runs_stand_on_one_page(tmp_path: Path) -> None:
    text = page(tmp_path, document(), document(environment={"cpu": "Another CPU"}))
    elements = Elements(text)
    assert elements.text_of("h1") == ["2 runs side by side"]
    assert "Runs side by side" in elements.text_of("h2")
    assert "Another CPU" in text


def test_the_same_results_give_the_same_page(tmp_path: Path, whole: str) -> None:
    again = page(tmp_path, full())
    assert again == whole


def test_a_run_that_measured_nothing_still_has_a_page(tmp_path: Path) -> None:
    text = page(tmp_path, document([], ratios=[]))
    assert "its run ended before the first one was measured" in text


def test_control_characters_and_marks_of_direction_are_escaped_in_tables_and_drawings(tmp_path: Path) -> None:
    odd = "a\x1b[31m\x9b\u202e\x00b"
    cases = [case("fp32", 8.0, quality=quality(0.9)), case(odd, bundle=odd, quality=quality(0.9))]
    text = page(tmp_path, document(cases))
    assert text.replace("\n", "").isprintable()
    assert r"a\x1b[31m\x9b\u202e\x00b" in text


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("latencies", [[1e308, 1e308, 1], [10**308, 1], [5e-324], [1, 2]])
@pytest.mark.parametrize("p50_ms", [5e-324, 1e18])
def test_extreme_figures_are_drawn_without_a_warning(latencies: list[float], p50_ms: float, tmp_path: Path) -> None:
    extreme = {"p90_ms": p50_ms, "p99_ms": p50_ms, "p50_ci": [-1e18, 1e18], "quality": quality(0.9)}
    cases = [case(name, p50_ms, **extreme, raw=f"raw/{name}.json") for name in ("fp32", "bundle")]
    path = write(tmp_path / "run-0", document(cases))
    for name in ("fp32", "bundle"):
        (tmp_path / "run-0" / "raw" / f"{name}.json").write_text(json.dumps({"rounds": [{"latencies_ns": latencies}]}))
    assert "<svg" in render(make_page(read_runs([path])))
