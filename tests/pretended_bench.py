"""A bench with simulated child processes: hand-made bundles, and made-up figures."""

from pathlib import Path
from typing import Any

from manifests import CONTENT
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from edgebert.bundle import write_manifest
from edgebert.errors import RunError
from edgebert.measure.suite import Suite

SUITE = Suite(rounds=3, samples=10, warmup=1, batch_size=4)
LATENCY_NS = {"fp32": 8_000_000, "1-graph": 4_000_000, "tiny": 1_000_000}


def make_bundle(folder: Path, size: int = 100) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(bytes(size))
    Tokenizer(WordLevel({str(at): at for at in range(50)}, unk_token="0")).save(str(folder / "tokenizer.json"))
    manifest: dict[str, Any] = {"name": "x", "max_length": 64}
    manifest |= {"precision": "fp32" if "stages" in folder.parent.name or folder.name == "baseline" else "int8-dynamic"}
    columns = {"text": "text", "text_pair": "", "label": "label"}
    data = {"columns": columns, "metric": "accuracy", "label_values": ["n", "p"]}
    write_manifest(folder, {**CONTENT, **manifest, "data": data})
    return folder


class Child:
    """Answers every job with made-up figures; fails or is interrupted at the job with this number."""

    def __init__(self, fails_at: int = 0, error: BaseException | None = None) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.fails_at = fails_at
        self.error = error

    def __call__(self, job: dict[str, Any]) -> dict[str, Any]:
        self.jobs.append(job)
        if len(self.jobs) == self.fails_at:
            raise self.error or RunError(f"{job['bundle']}: {job['scenario']} failed: killed")
        name = {"0-baseline": "fp32"}.get(Path(job["bundle"]).name, Path(job["bundle"]).name)
        marks = {"start_ns": 0, "import_ns": 30_000_000, "load_ns": 50_000_000, "first_ns": 55_000_000}
        marks |= {"cold_start_ns": 10 * LATENCY_NS[name]}
        marks |= {"import_rss": 20_000_000, "load_rss": 50_000_000, "first_rss": 60_000_000}
        marks |= {"end_rss": 80_000_000 if job["arena"] else 70_000_000}
        marks |= {"processor": {"wall_ns": 1000, "own_ns": 900, "busy_ns": 950}}
        latencies = {"latencies_ns": [LATENCY_NS[name]] * job["samples"]}
        rate = {
            "settings": job["server"],
            "capacity_qps": 1e9 / LATENCY_NS[name],
            "target_qps": 0.5e9 / LATENCY_NS[name],
            "achieved_qps": 0.5e9 / LATENCY_NS[name],
        }
        table = [[float(at % 4 > 0 or name != "tiny")] for at in range(40)]
        texts = len(job.get("texts", job.get("ids", [])))
        work = {
            "single_stream": latencies | {"null_ns": [200] * job["samples"], "power": None},
            "offline": {"texts": texts, "total_ns": LATENCY_NS[name] * texts},
            "memory": {},
            "cold_start": {},
            "soak": latencies | {"resident_bytes": [60_000_000, 61_000_000]},
            "server": latencies | rate,
            "quality": {
                "quality": {
                    "metric": job.get("metric"),
                    "value": 0.75 if name == "tiny" else 1.0,
                    "n": 40,
                    "ci_low": None,
                    "ci_high": None,
                },
                "table": table,
            },
        }
        return marks | work[job["scenario"]]
