"""Device half: all metrics, their bootstrap intervals, and paired comparisons."""
