"""`python -m botwatch.cli` is the command `botwatch`."""

import sys

from botwatch.cli import main

sys.exit(main())
