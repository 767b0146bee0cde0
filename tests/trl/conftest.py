"""Nothing here asks the Hub for anything, and one thread is enough for a tiny model."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
