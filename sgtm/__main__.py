"""`python -m sgtm` is `sgtm`."""

import sys

from sgtm.cli import main

sys.exit(main())
