# The image of EitherDB. The default is SQLite in /data; DB_BACKEND and DATABASE_URL select another database:
#
#   docker build --tag eitherdb .
#   docker run --env SECRET_KEY --volume eitherdb-data:/data --publish 8000:8000 eitherdb
#
# Without a volume on /data the data is lost with the container. For PostgreSQL and MongoDB see
# docker-compose.yml.

FROM python:3.13-slim AS builder

WORKDIR /src
# The image's own pip installs into the venv, so that the venv needs no pip.
RUN python -m venv --without-pip /opt/eitherdb
COPY requirements/runtime.txt requirements/
RUN pip --python /opt/eitherdb install --no-cache-dir --only-binary :all: \
        --require-hashes --requirement requirements/runtime.txt
COPY . .
# The lock file includes the build backend, which is not needed after the build.
RUN pip --python /opt/eitherdb install --no-cache-dir --no-deps --no-build-isolation . \
    && pip --python /opt/eitherdb uninstall --yes \
        hatchling pathspec pluggy tomlkit trove-classifiers


FROM python:3.13-slim

LABEL org.opencontainers.image.title="EitherDB" \
      org.opencontainers.image.description="One REST API on SQLite, PostgreSQL or MongoDB, with the same responses." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"

RUN groupadd --gid 10001 eitherdb \
    && useradd --uid 10001 --gid eitherdb --home-dir /data --no-create-home --no-log-init \
        --shell /usr/sbin/nologin eitherdb \
    && install --directory --owner=eitherdb --group=eitherdb --mode=0750 /data
COPY --from=builder /opt/eitherdb /opt/eitherdb

# No SECRET_KEY here: ENVIRONMENT=production refuses to start without one.
ENV PATH=/opt/eitherdb/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ENVIRONMENT=production \
    DB_BACKEND=sqlite \
    DATABASE_URL=sqlite:////data/eitherdb.db

WORKDIR /data
# By number, so that Kubernetes' runAsNonRoot can verify that it is not root.
USER 10001:10001
EXPOSE 8000

# The slim image has no curl. The empty ProxyHandler ignores an HTTP_PROXY of the host.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/api/v1/utils/health-check/', timeout=4)"]

ENTRYPOINT ["eitherdb"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--migrate"]
