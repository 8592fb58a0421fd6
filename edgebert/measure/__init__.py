"""Device half: quality, latency and memory of bundles, each case in a fresh process."""
