# EitherDB as an image. SQLite in /data unless DB_BACKEND and DATABASE_URL say otherwise:
#
#   docker build --tag eitherdb .
#   docker run --env SECRET_KEY --volume eitherdb-data:/data --publish 8000:8000 eitherdb
#
# Without a volume on /data the data go with the container. PostgreSQL and MongoDB:
# docker-compose.yml.

FROM python:3.13-slim AS builder

WORKDIR /src
# The image's own pip fills the venv from outside, so that the venv needs none.
RUN python -m venv --without-pip /opt/eitherdb
COPY requirements/runtime.txt requirements/
RUN pip --python /opt/eitherdb install --no-cache-dir --only-binary :all: \
        --require-hashes --requirement requirements/runtime.txt
COPY . .
# The lock carries the build backend; once the project is built, nothing imports it any more.
RUN pip --python /opt/eitherdb install --no-cache-dir --no-deps --no-build-isolation . \
    && pip --python /opt/eitherdb uninstall --yes \
        hatchling pathspec pluggy tomlkit trove-classifiers


FROM python:3.13-slim

LABEL org.opencontainers.image.title="EitherDB" \
      org.opencontainers.image.description="One REST API on SQLite, PostgreSQL or MongoDB, with the same answers." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"

RUN groupadd --gid 10001 eitherdb \
    && useradd --uid 10001 --gid eitherdb --home-dir /data --no-create-home --no-log-init \
        --shell /usr/sbin/nologin eitherdb \
    && install --directory --owner=eitherdb --group=eitherdb --mode=0750 /data
COPY --from=builder /opt/eitherdb /opt/eitherdb

# No SECRET_KEY here: ENVIRONMENT=production refuses to start until the operator gives one.
ENV PATH=/opt/eitherdb/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ENVIRONMENT=production \
    DB_BACKEND=sqlite \
    DATABASE_URL=sqlite:////data/eitherdb.db

WORKDIR /data
# By number, so that Kubernetes' runAsNonRoot can tell that it is not root.
USER 10001:10001
EXPOSE 8000

# The slim image has no curl. The empty ProxyHandler keeps an HTTP_PROXY of the host out of it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/api/v1/utils/health-check/', timeout=4)"]

ENTRYPOINT ["eitherdb"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--migrate"]
