#!/usr/bin/env bash
# pyarrow's ParquetFile.iter_batches keeps a whole column of a row group in memory, even for small batches.
#
# pandas writes up to a million rows as one row group. The stored bytes of the column are then in memory as a whole,
# also with pre_buffer=False. With a buffer_size (0 by default) the column is read in parts.
#
# Versions: pyarrow 26.0.1; Python 3.11, Linux, x86-64. pyarrow 17.0.0 does the same.
# Seen, a column of 32 MB, batches of 128 rows (1 MB):
#   iter_batches: 31 MB; pre_buffer=False: 31 MB; pre_buffer=False and buffer_size=1 MB: 9 MB
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import pyarrow as pa
import pyarrow.parquet as pq

texts = [f"{number:04}" * 2_000 for number in range(4_000)]
pq.write_table(pa.table({"text": texts}), "a.parquet", compression=None, use_dictionary=False)


def most(**named):
    before, found, rows = pa.total_allocated_bytes(), 0, 0
    for batch in pq.ParquetFile("a.parquet", **named).iter_batches(batch_size=128, use_threads=False):
        found, rows = max(found, pa.total_allocated_bytes() - before), rows + batch.num_rows
    assert rows == len(texts)
    return found >> 20


usual, alone, buffered = most(), most(pre_buffer=False), most(pre_buffer=False, buffer_size=1 << 20)
print(f"iter_batches: {usual} MB; pre_buffer=False: {alone} MB; pre_buffer=False and buffer_size=1 MB: {buffered} MB")
raise SystemExit(not (min(usual, alone) >= 30 and buffered < 15))
PROGRAM
