# Two stages: the first builds a virtual environment from the lock files, the second is that environment and nothing else.
FROM python:3.11-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build

RUN python -m venv /venv && python -m venv /backend
# The build backend is locked with the development tools; it stays behind in this stage.
COPY requirements.txt requirements-dev.txt ./
RUN /backend/bin/pip install --require-hashes --requirement requirements-dev.txt
RUN /venv/bin/pip install --require-hashes --requirement requirements.txt

COPY LICENSE README.md pyproject.toml ./
COPY migrations migrations
COPY service service
RUN /backend/bin/python -m hatchling build --target wheel \
    && /venv/bin/pip install --no-deps --no-index dist/*.whl \
    && /venv/bin/pip uninstall --yes pip setuptools


FROM python:3.11-slim

RUN useradd --system --uid 10001 --home-dir /data --create-home ledger
COPY --from=build /venv /venv

ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CAMPAIGN_LEDGER_DATA_DIR=/data/postgresql
USER 10001
WORKDIR /data
# Used only without CAMPAIGN_LEDGER_DATABASE_URL, when the embedded PostgreSQL keeps its data here.
VOLUME /data
EXPOSE 8080

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]

ENTRYPOINT ["campaign-ledger"]
CMD ["serve", "--host", "0.0.0.0"]
