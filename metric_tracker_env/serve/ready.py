"""Readiness: how many sessions a server has, and may have."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from metric_tracker_env.serve.limits import RETRY_SECONDS, ServeLimits, further_headers

READY_PATH = "/ready"


def readiness(sessions: int, limits: ServeLimits) -> Response:
    """What a server says that is asked whether it is ready: 200, or 503 while all sessions are taken."""
    full = sessions >= limits.max_sessions
    told = {"status": "full" if full else "ready", "sessions": sessions, "max_sessions": limits.max_sessions}
    response = JSONResponse(told, 503 if full else 200)
    for name, value in further_headers(response.status_code, RETRY_SECONDS if full else None):
        response.headers[name.decode()] = value.decode()
    return response
