"""Copy a bundle, the page and the libraries from node_modules into one folder that any web server can serve.

    npm install                             # once, in this folder
    python publish.py ../../build/my site
    python -m http.server --bind 127.0.0.1 --directory site 8000

Standard library only; the bundle is not opened.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = ("index.html", "app.js", "bundle.js")
VENDOR = (
    "onnxruntime-web/dist/ort.wasm.min.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "@huggingface/tokenizers/dist/tokenizers.min.mjs",
)


def publish(bundle: Path, out: Path, modules: Path) -> int:
    """Copy everything; return the size in bytes.

    Raises:
        FileNotFoundError: The bundle, its ONNX graph or a library is missing. The message says what to do.
    """
    manifest = bundle / "manifest.json"
    if not manifest.is_file():
        raise FileNotFoundError(f"{bundle}: no manifest.json; name a bundle's folder")
    graph = json.loads(manifest.read_text(encoding="utf-8"))["runtime"]["graphs"].get("onnxruntime")
    if graph is None:
        raise FileNotFoundError(f'{bundle}: no graph for onnxruntime; export with export.formats = ["onnx"]')
    missing = [name for name in VENDOR if not (modules / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{modules}: no {missing[0]}; run npm install in {HERE}")
    copies = {HERE / name: out / name for name in PAGE}
    copies |= {modules / name: out / "vendor" / Path(name).name for name in VENDOR}
    copies |= {bundle / name: out / "bundle" / name for name in ("manifest.json", "tokenizer.json", graph)}
    for source, target in copies.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return sum(target.stat().st_size for target in copies.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and copy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--modules", type=Path, default=HERE / "node_modules", help="default: node_modules beside this file"
    )
    options = parser.parse_args(arguments)
    try:
        size = publish(options.bundle, options.out, options.modules)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out}: {size / 1e6:.1f} MB; python -m http.server --bind 127.0.0.1 --directory {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
