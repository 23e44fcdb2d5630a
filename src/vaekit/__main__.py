"""``python -m vaekit``."""

import sys

from vaekit.cli import main

sys.exit(main())
