"""Generated smart-home commands for `make demo`. This code makes all of the text."""
