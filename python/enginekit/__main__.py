"""``python -m enginekit``."""

import sys

from enginekit.cli import main

sys.exit(main())
