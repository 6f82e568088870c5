"""Tests of the files in `deploy/`, as far as files can be checked without Docker, systemd and Prometheus."""
