"""Sessions of each runtime, a file each; `edgebert.runtimes` has a row for every one."""
