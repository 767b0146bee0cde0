"""``python -m agents.llm``: let a language model play."""

from __future__ import annotations

from agents.llm.command import main

if __name__ == "__main__":
    main()
