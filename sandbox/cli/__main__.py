"""`python -m sandbox.cli`: the same as the console script `sandbox`."""

import sys

from sandbox.cli import main

sys.exit(main())
