# The OpenEnv server: docker build -t metric-tracker-env . && docker run -p 127.0.0.1:8000:8000 metric-tracker-env
FROM python:3.11-slim

LABEL org.opencontainers.image.title="metric_tracker_env" \
      org.opencontainers.image.description="An analyst's investigation of funnel metrics, as an OpenEnv server" \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.licenses="MIT"

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app/env
COPY pyproject.toml README.md LICENSE openenv.yaml ./
COPY metric_tracker_env metric_tracker_env
RUN python -m pip install ".[serve]" && useradd --create-home --uid 1000 analyst

USER analyst
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# Inside of the container every address; -p says who can reach it. Under another name than localhost: docker run
# -e METRIC_TRACKER_ALLOW_HOST=NAME.
CMD ["python", "-m", "metric_tracker_env.serve", "openenv", "--host", "0.0.0.0", "--port", "8000", "--allow-host", "localhost"]
