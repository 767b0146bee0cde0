"""The page on which a person plays an episode with the tools that agents have.

``python -m metric_tracker_env.ui`` (extra ``ui``) serves it on loopback; each visitor has an episode of his own. With
``--books`` one person plays episodes that count, for a row on the leaderboard.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

PORT = 8050


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    try:
        from metric_tracker_env.serve import command_line
        from metric_tracker_env.ui.app import page_app
    except ImportError as error:
        raise SystemExit(f"the page: {error} (the extra ui brings it, too)") from None
    parser = argparse.ArgumentParser(
        prog="python -m metric_tracker_env.ui",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command_line.add_address(parser, PORT)
    command_line.add_task(parser, "realistic_easy", "until a visitor chooses another")
    command_line.add_books(parser)
    command_line.add_limits(parser)
    given = parser.parse_args(arguments)
    hosts, token = command_line.gate_of(parser, given)
    limits = command_line.limits_of(parser, given)
    with command_line.books_of(parser, given) as books:
        if books is not None and not books.left:
            parser.error(f"argument --books: all episodes of {given.books} have begun; compare ranks them")
        app = page_app(given.task, limits, hosts, token, books=books)
        print(f"the page is at http://{given.host}:{given.port}/", flush=True)
        command_line.run(app, limits, given.host, given.port)


if __name__ == "__main__":
    main()
