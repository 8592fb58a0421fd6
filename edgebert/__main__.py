"""Make `python -m edgebert` run the command `edgebert`."""

import sys

from edgebert.cli import main

if __name__ == "__main__":
    sys.exit(main())
