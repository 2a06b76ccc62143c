"""The driver of the chaos rig. What every driver of real daemons shares lies in tests/e2e/lib."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))
