"""``python -m xfer``."""

from xfer.cli import main

main()
