"""Device half: measure quality, latency and memory of bundles, each case in a fresh process."""
