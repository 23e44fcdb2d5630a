"""``python -m vaekit.cli``."""

import sys

from vaekit.cli import main

sys.exit(main())
