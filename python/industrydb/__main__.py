"""Run the command ``industrydb`` as ``python -m industrydb``."""

import sys

from industrydb._cli import main

sys.exit(main())
