"""nginx as a load balancer: where its program is, and the configuration of one that stands before N copies."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

INSTALL = "apt-get install nginx"
_SAYS_SECONDS = 5.0

# least_conn comes before keepalive, or nginx ignores it. max_fails=0 and proxy_next_upstream off: a copy that fails is
# neither taken out for ten seconds nor are its requests quietly asked of another, or errors would not be seen.
# The copies' own X-Worker is told apart by the copy that it came from.
_CONFIG = """\
daemon off;
pid {folder}/nginx.pid;
worker_processes 1;
worker_rlimit_nofile 8192;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_buffer_size 16m;
  keepalive_timeout 300s;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream copies {{
    least_conn;
{servers}
    keepalive 128;
    keepalive_requests 1000000;
    keepalive_timeout {idle}s;
  }}
  server {{
    listen {host}:{port} {http2}backlog=2048;
    location / {{
{pass_on}
    }}
  }}
}}
"""
_HTTP = """\
      proxy_pass http://copies;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_buffers 16 64k;
      proxy_buffer_size 64k;
      proxy_read_timeout 600s;
      proxy_next_upstream off;
      proxy_hide_header X-Worker;
      add_header X-Worker "$upstream_addr $upstream_http_x_worker" always;"""
_GRPC = """\
      grpc_pass grpc://copies;
      grpc_read_timeout 600s;
      grpc_next_upstream off;"""
IDLE_SECONDS = 60
"""How long a connection to a copy rests at most: less than gunicorn keeps it (75 s), or it would be found closed."""


def program() -> str | None:
    """The program, also where PATH leaves out the folders that it is installed to."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def version() -> str:
    """`nginx/1.22.1`; empty if it does not say."""
    try:
        done = subprocess.run(
            [program() or "nginx", "-v"], capture_output=True, text=True, timeout=_SAYS_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stderr.strip().removeprefix("nginx version: ")


def config(folder: Path, host: str, port: int, upstreams: Sequence[str], *, grpc: bool) -> str:
    """A configuration that listens on one port and passes on to the copies, each `HOST:PORT` or `unix:PATH`."""
    return _CONFIG.format(
        folder=folder,
        host=f"[{host}]" if ":" in host else host,
        port=port,
        servers="\n".join(f"    server {each} max_fails=0;" for each in upstreams),
        idle=IDLE_SECONDS,
        http2="http2 " if grpc else "",
        pass_on=_GRPC if grpc else _HTTP,
    )
