"""`bench/serving_load.py` sends requests at its rate, whatever the service does, and counts all of them."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
from small_bundle import write_small_bundle

from bench.serving_load import WARMUP, load

ROOT = Path(__file__).resolve().parents[2]
RATE, SECONDS = 100.0, 0.5


def loaded(statuses: tuple[int, ...] = (200,), held: int = 0) -> dict[str, float]:
    """Load a service that returns these statuses in turn; it answers only after `held` requests are waiting."""

    async def run() -> dict[str, float]:
        arrived, all_there = 0, asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal arrived
            while head := await reader.readline():
                while (line := await reader.readline()).strip():
                    head += line
                await reader.readexactly(int(head.rsplit(b" ", 1)[1]))
                arrived += 1
                if arrived - WARMUP >= held:
                    all_there.set()
                if arrived > WARMUP:
                    await all_there.wait()
                status = statuses[arrived % len(statuses)] if arrived > WARMUP else 200
                if not status:
                    break
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}" % status)
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            return await load(server.sockets[0].getsockname()[1], ["a"], RATE, SECONDS, null=False)

    return asyncio.run(asyncio.wait_for(run(), 60))


def test_a_service_that_waits_for_all_requests_gets_all() -> None:
    sent = int(loaded()["sent"])
    assert 20 < sent < 100
    found = loaded(held=sent)
    assert (found["sent"], found["refused"], found["failed"]) == (sent, 0, 0)


def test_refused_and_failed_requests_have_no_latency() -> None:
    found = loaded((503,))
    assert (found["refused"], found["failed"], found["p50_ms"]) == (found["sent"], 0, 0)
    for status in (500, 0):  # 0: the connection is closed without an answer
        found = loaded((status,))
        assert (found["refused"], found["failed"], found["answers_s"]) == (0, found["sent"], 0)


@pytest.mark.parametrize("options", [("--null",), ("--", "--workers", "1")])
def test_the_example_is_measured_in_processes_of_its_own(options: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("fastapi", "uvicorn", "prometheus_client"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    (tmp_path / "texts.txt").write_text("a b\n\nb\n")
    bundle = write_small_bundle(tmp_path / "small")
    command = [sys.executable, "bench/serving_load.py", bundle, tmp_path / "texts.txt", "--rates", "20"]
    command += ["--rounds", "1", "--seconds", "0.5", *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    line = r" +20/s asked, .*/s answered, p50 .* ms, p99 .* ms, late .* ms, refused 0, failed 0\n"
    assert re.fullmatch(line, ran.stdout)
