"""``python -m industrydb``, which is the command ``industrydb``."""

import sys

from industrydb._cli import main

sys.exit(main())
