#!/bin/sh
# Runs schema-exporter with the libraries that it was built for.
home=/opt/schema-mirror
libraries=$(echo "$home"/lib/*-linux-gnu "$home"/usr/lib/*-linux-gnu | tr ' ' ':')
for loader in "$home"/lib/*-linux-gnu/ld-linux-*.so.* "$home"/lib*/ld-linux-*.so.*; do
    if [ -x "$loader" ]; then
        exec "$loader" --library-path "$libraries" "$home"/schema-exporter "$@"
    fi
done
echo "schema-exporter: no loader below $home/lib" >&2
exit 1
