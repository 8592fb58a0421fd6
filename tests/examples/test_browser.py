"""`examples/browser`: a bundle on a page in headless Chromium gives the same answers as in Python."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
from small_bundle import write_small_bundle

import edgebert
from examples.browser import publish

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MODULES = Path(publish.__file__).parent / "node_modules"
installed = [
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed"),
    pytest.mark.skipif(not MODULES.exists(), reason="run npm install in examples/browser first"),
]
TEXTS = [
    "a good film",
    "the story was awful and cold and so very poor",
    "Naïve café, 🙂 “quoted” — don't!  two  spaces\ttab",
    "東京 and Ünïcödé; x²+1=0 (a/b) ... U.S.A.",
    "film " * 500,
    "good",
]
# The page requests the texts, runs the bundle on them, and sends the answers back.
CHECK = """<!doctype html><script type="module">
import { Bundle } from "./bundle.js";
let found;
try {
  const bundle = await Bundle.open("./bundle");
  found = [];
  for (const text of await (await fetch("./texts.json")).json()) {
    const answer = await (bundle.task === "similarity" ? bundle.embed(text) : bundle.classify(text));
    found.push({ ...answer, ids: bundle.encode(text).ids });
  }
} catch (error) { found = String(error); }
await fetch("./found", { method: "POST", body: JSON.stringify(found) });
</script>"""


@pytest.fixture
def fp32(built: Path) -> Path:
    return built.with_name(built.name + ".stages") / "1-graph"


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, and receives the page's answers."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript", ".wasm": "application/wasm"}

    def __init__(self, *given: Any, found: "Queue[Any]", **named: Any) -> None:
        self.found = found
        super().__init__(*given, **named)

    def do_POST(self) -> None:
        self.found.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *given: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, "Queue[Any]"]]:
    found: Queue[Any] = Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, found=found, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", found
    finally:
        server.shutdown()
        server.server_close()


def chromium(profile: Path, *more: str) -> list[str]:
    quiet = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
    )
    return [str(CHROMIUM), *quiet, f"--user-data-dir={profile}", *more]


def answers_of(site: Path, profile: Path) -> Any:
    """The page's answers to the texts."""
    (site / "check.html").write_text(CHECK)
    (site / "texts.json").write_text(json.dumps(TEXTS))
    with served(site) as (url, found):
        browser = subprocess.Popen(
            chromium(profile, "--remote-debugging-port=0", f"{url}/check.html"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            return found.get(timeout=300)
        finally:
            os.killpg(browser.pid, 15)
            browser.wait(30)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=installed) for kind in ("built", "fp32", "bundle")])
def test_the_page_answers_as_python_does(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder: Path = request.getfixturevalue(kind)
    within = 1e-5 if kind == "fp32" else 2e-3  # INT8 rounds a last digit up to a step of its scale
    publish.publish(folder, tmp_path / "site", MODULES)
    found = answers_of(tmp_path / "site", tmp_path / "profile")
    assert isinstance(found, list), found
    with edgebert.load(folder, runtime="onnxruntime", threads=1) as model:
        for text, answer in zip(TEXTS, found, strict=True):
            (window,) = model.task.encode(text)
            expected = model(text).to_dict()
            assert answer["ids"] == list(window.ids), text
            assert answer["truncated"] == expected["truncated"]
            if kind == "bundle":
                np.testing.assert_allclose(answer["embedding"], expected["embedding"], atol=within)
            else:
                assert answer["label"] == expected["label"]
                assert answer["scores"] == pytest.approx(expected["scores"], abs=within)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param("built", marks=installed)])
def test_the_page_shows_the_answers(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder: Path = request.getfixturevalue(kind)
    publish.publish(folder, tmp_path / "site", MODULES)
    shot = tmp_path / "page.png"
    with served(tmp_path / "site") as (url, _):
        seen = chromium(tmp_path / "profile", "--virtual-time-budget=60000", f"--screenshot={shot}", "--dump-dom", url)
        page = subprocess.run(seen, capture_output=True, text=True, timeout=300, check=True).stdout
    with edgebert.load(folder, runtime="onnxruntime", threads=1) as model:
        text = "a charming and often affecting journey"
        assert f"<td>{text}</td><td>{model(text).label}</td>" in page
    assert page.count("<tr>") == 3
    assert shot.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    for name in publish.VENDOR:
        (tmp_path / "modules" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "modules" / name).write_text(name)
    return tmp_path / "modules"


def test_the_folder_has_all_that_the_page_asks_for(
    modules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, site = write_small_bundle(tmp_path / "small"), tmp_path / "site"
    assert publish.main([str(small), str(site), "--modules", str(modules)]) == 0
    assert f"{site}: 0.0 MB" in capsys.readouterr().out
    names = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert {"index.html", "bundle/manifest.json", "bundle/model.onnx", "bundle/tokenizer.json"} <= names
    page = "".join((site / name).read_text() for name in publish.PAGE)
    assert all(f"./vendor/{Path(name).name}" in page for name in publish.VENDOR if "simd" not in name)
    assert "http" not in page.replace("http-equiv", "")


def test_what_is_missing_is_told(modules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = write_small_bundle(tmp_path / "small")
    assert publish.main([str(tmp_path / "none"), str(tmp_path / "site"), "--modules", str(modules)]) == 2
    assert "no manifest.json; name a bundle's folder" in capsys.readouterr().err
    (modules / publish.VENDOR[0]).unlink()
    assert publish.main([str(small), str(tmp_path / "site"), "--modules", str(modules)]) == 2
    assert "run npm install in" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_package_json_names_exact_versions() -> None:
    package = json.loads((Path(publish.__file__).parent / "package.json").read_text())
    assert all(version.replace(".", "").isdecimal() for version in package["dependencies"].values())
