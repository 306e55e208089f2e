# A schema registry whose container has schema-exporter on its PATH, so that a runbook's lines work in
# it as they stand. compose.yaml says which image `mirror` is.
FROM confluentinc/cp-schema-registry:7.9.5
# The binary wants a newer libc than this image has, so it brings its own and the loader that goes
# with it.
COPY --from=mirror /usr/local/bin/schema-exporter /opt/schema-mirror/schema-exporter
COPY --from=mirror /lib /opt/schema-mirror/lib
COPY --from=mirror /usr/lib /opt/schema-mirror/usr/lib
COPY --chmod=755 schema-exporter.sh /usr/local/bin/schema-exporter
COPY schemalink-src.cfg schemalink-tgt.cfg /tmp/config/
