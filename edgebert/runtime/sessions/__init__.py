"""Sessions of each runtime, one file each; `edgebert.runtimes` has a row for every one."""
