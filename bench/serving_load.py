"""Measure the latency of `examples/serving` at fixed request rates, with HTTP over the loopback interface.

The load is an open loop: requests of one text are sent at random times (exponential gaps from a seed), whether or not
earlier requests are answered. A latency starts at the time when the request was due, so it includes the delay of a
late sender. `late` is the 99th percentile of this delay. If it is close to the latencies, the result shows the limit of
the generator, not of the service. Every rate of every round has its own service process and its own generator process;
rates are in random order. `--null` requests /healthz instead of an answer of the model: it measures the cost of HTTP
and of the generator. Options after `--` are passed to the service.

python bench/serving_load.py BUNDLE TEXTS.txt --rates 50 100 200 [--seconds 20] [--rounds 5] [--null] [-- --workers 1]
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np

from edgebert.measure.statistics import over_rounds

SERVE = Path(__file__).parents[1] / "examples" / "serving" / "serve.py"
WARMUP = 50
START_SECONDS = 120
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Client:
    """An HTTP client that keeps its connections, and opens another one if all are busy."""

    def __init__(self, port: int, null: bool) -> None:
        self._port, self._null = port, null
        self._idle: list[Connection] = []

    async def ask(self, text: str) -> int:
        """Send a request and return the status of the response."""
        while self._idle and self._idle[-1][0].at_eof():
            self._idle.pop()[1].close()
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        body = b"" if self._null else json.dumps({"text": text}).encode()
        line = "GET /healthz" if self._null else "POST /predict"
        writer.write(f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
        except (OSError, EOFError):
            writer.close()
            raise
        self._idle.append((reader, writer))
        return int(head.split(b" ", 2)[1])

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()


async def load(port: int, texts: Sequence[str], rate: float, seconds: float, null: bool) -> dict[str, float]:
    """Send requests at a rate, and return counts and latencies."""
    client, chance = Client(port, null), random.Random(0)
    for at in range(WARMUP):
        await client.ask(texts[at % len(texts)])
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    late: list[float] = []
    start = time.perf_counter() + 0.1

    async def one(text: str, due: float) -> None:
        late.append(time.perf_counter() - due)
        try:
            status = await client.ask(text)
        except (OSError, EOFError):
            status = 0
        statuses[status] += 1
        if status == 200:
            latencies.append(time.perf_counter() - due)

    due, asked = start + chance.expovariate(rate), []
    while due < start + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        asked.append(asyncio.create_task(one(chance.choice(texts), due)))
        due += chance.expovariate(rate)
    await asyncio.gather(*asked)
    took = time.perf_counter() - start
    await client.close()
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e3 if latencies else (0.0, 0.0)
    return {
        "sent": len(asked),
        "refused": statuses[503],
        "failed": len(asked) - statuses[200] - statuses[503],
        "answers_s": statuses[200] / took,
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "late_ms": float(np.percentile(late, 99) * 1e3) if late else 0.0,
    }


@contextmanager
def service(bundle: str, options: Sequence[str]) -> Iterator[int]:
    """Run a service until the end of the block, and yield its port."""
    command = [sys.executable, str(SERVE), bundle, "--port", "0", *options]
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            until = time.monotonic() + START_SECONDS
            while not (found := re.search(rb"running on http://127\.0\.0\.1:(\d+)", said(log.fileno()))):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"the service did not start: {said(log.fileno()).decode(errors='replace')}")
                time.sleep(0.05)
            yield int(found[1])
        finally:
            process.terminate()


def said(log: int) -> bytes:
    """Read what a process wrote to its log."""
    return os.pread(log, 1 << 16, 0)


def measure(given: argparse.Namespace, rate: float) -> dict[str, float]:
    """Measure one rate with a new service process and a new generator process."""
    with service(given.bundle, given.options) as port:
        own = ["--null"] * given.null
        command = [sys.executable, __file__, given.bundle, given.texts, "--rates", str(rate), "--port", str(port), *own]
        ran = subprocess.run([*command, "--seconds", str(given.seconds)], stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def report(rate: float, rounds: Sequence[dict[str, float]]) -> str:
    """Format one line: percentiles with their intervals over the rounds, and sums of the counts."""
    parts = [f"{rate:8g}/s asked", f"{median(one['answers_s'] for one in rounds):8.1f}/s answered"]
    for name in ("p50_ms", "p99_ms"):
        value, interval = over_rounds([one[name] for one in rounds])
        shown = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
        parts.append(f"{name[:3]} {value:.2f} ms{shown}")
    parts.append(f"late {max(one['late_ms'] for one in rounds):.2f} ms")
    return ", ".join([*parts, *(f"{name} {sum(one[name] for one in rounds)}" for name in ("refused", "failed"))])


def main() -> None:
    """Measure, and print one line per rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("texts")
    parser.add_argument("--rates", type=float, nargs="+", default=[50, 100, 200], help="requests a second")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--null", action="store_true", help="ask /healthz in place of the model")
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    own, options = sys.argv[1:], []
    if "--" in own:
        own, options = own[: own.index("--")], own[own.index("--") + 1 :]
    given = parser.parse_args(own, argparse.Namespace(options=options))
    if min(*given.rates, given.seconds, given.rounds) <= 0:
        parser.error("rates, seconds and rounds are above 0")
    if given.port:
        texts = [line for line in Path(given.texts).read_text(encoding="utf-8").splitlines() if line.strip()]
        print(json.dumps(asyncio.run(load(given.port, texts, given.rates[0], given.seconds, given.null))))
        return
    found: dict[float, list[dict[str, float]]] = {rate: [] for rate in given.rates}
    for _ in range(given.rounds):
        for rate in random.sample(given.rates, len(given.rates)):
            found[rate].append(measure(given, rate))
    for rate, rounds in found.items():
        print(report(rate, rounds))


if __name__ == "__main__":
    main()
