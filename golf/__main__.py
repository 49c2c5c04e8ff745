"""`python -m golf`."""

import sys

from golf.app import main

sys.exit(main())
