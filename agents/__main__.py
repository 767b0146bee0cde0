"""``python -m agents``: run an agent, or compare all of them."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
