"""Generated smart-home commands for `make demo`: synthetic text, all of it made by this code."""
