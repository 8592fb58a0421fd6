"""Device half: every metric, its bootstrap interval, and paired comparisons."""
