"""Template of haproxy.cfg: `<name>` stands for a value that `haproxy_config.py` fills in."""

from __future__ import annotations

TEMPLATE = r"""# HAProxy 2.6 or newer, in front of several replicas of the app.
#
# Written by `python -m replicas.haproxy_config`. Its options (--help) are the addresses, the certificate and the
# replicas. By hand, these lines are yours to change: `bind`, and `server` or `server-template` in both backends.
# Replicas on another computer than HAProxy need its address in TRUSTED_PROXIES, or all visitors count as one.

global<log><rights>
    # Calls are longer than a reload of HAProxy: the old process keeps its connections for this time.
    hard-stop-after 2h
    # Containers often allow a billion files, and HAProxy would reserve memory for each.
    fd-hard-limit 65536

defaults
    mode http
    log global
    option dontlognull
    # Tell a replica at once that a browser has closed a stream. Without it, page events take 1 to 2 s longer.
    option abortonclose
    # Pass on each part of a streamed answer at once. Otherwise the system holds the first one back for 200 ms, and each
    # event of a page comes that much later.
    option http-no-delay
    # A request whose replica refuses connections goes to another one at once; by default it waits 1 s for each retry.
    option redispatch 1
    retries 2
    # Also the pause before a retry. The system accepts a connection at once, however busy the replica is.
    timeout connect 300ms
    # A busy replica may be late with its answer, and must not be taken for a dead one.
    timeout check 1500ms
    timeout queue 5s
    timeout http-request 10s
    timeout http-keep-alive 15s
    # Gradio's event streams carry something every 15 s.
    timeout client 65s
    timeout server 65s
    # The app pings WebSockets every 2.5 s.
    timeout tunnel 1h
<resolvers><redirect>
frontend voice
    # tcp-ut: the replica watches its connection to HAProxy only, so HAProxy has to notice a browser that vanished.
    bind <listen><tls> tcp-ut 6500ms
<access_log>
    # The address of a visitor is what HAProxy sees.<proxies>
    http-request del-header X-Forwarded-For<by_visitor>
    http-request del-header X-Forwarded-Host<by_visitor>
    option forwardfor
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]<by_visitor>
    http-request del-header X-Voice-Replicas

    # A replica's own answer would be that of any one of them. Scrape /metrics at each replica.
    # url_dec: the app decodes a path before it looks for the route.
    http-request deny deny_status 404 if { path,url_dec -m reg /metrics/*$ }
    acl health path /health
    acl has_room nbsrv(pages) gt 0
    http-request return status 503 content-type application/json string '{"status":"no replica"}' if health !has_room
    http-request return content-type application/json lf-string '{"status":"ok","replicas":%[nbsrv(pages)]}' if health

    # Each replica limits the guesses at the password for itself; this is the limit of them all.
    stick-table type ipv6 size 100k expire 2m store http_req_rate(60s)
    acl is_login path,url_dec -m reg /login/*$
    http-request track-sc0 src if is_login METH_POST<and_by_visitor>
    http-request deny deny_status 429 if is_login METH_POST { sc_http_req_rate(0) gt 12 }

    # A page that leaves a draining replica opens /?again=1. Its cookie still names that replica, and no script can read
    # it. `ignore-persist` would not do: it sets no new cookie. A link of another site must not move a browser whose
    # other tab is in a call. Browsers send no Sec-Fetch-Site over plain http, and old ones never do.
    acl is_again url_param(again) -m found
    acl is_own_page req.hdr(Sec-Fetch-Site) -m str same-origin
    acl is_own_page req.hdr_cnt(Sec-Fetch-Site) eq 0
    http-request replace-header Cookie '(.*)<cookie>=[^;]*(.*)' '\1\2' if is_again is_own_page { path_end / }

    use_backend programs if { path <program_paths> }
    # A page asks whether another replica would take it. The answer must not change its cookie.
    use_backend programs if is_again { path_end /page-connection }
    default_backend pages

backend pages
    balance leastconn
    # dynamic: the value is a hash of the replica's address, so every HAProxy with the same key reads it. In a frame of
    # another site, browsers want: attr "SameSite=None" attr Secure attr Partitioned
    cookie <cookie> insert indirect nocache httponly<secure> dynamic attr "SameSite=Lax"
    dynamic-cookie-key <secret>
    # A replica that was killed has closed connections that HAProxy keeps open for reuse. Only reading is repeated.
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless METH_GET
    option httpchk GET /health
    # Only "draining" counts: such a replica gets no new visitors, and keeps its own. With `expect status 200` it would
    # be down, and its pages would lose their calls. A replica without its model's server explains itself on the page.
    http-check expect ! string \"draining\" error-status L7OKC
    # A replica that stops answering closes no connection. Its pages learn it when HAProxy closes theirs: after 3.3 to
    # 3.8 s, two checks without an answer.
    default-server check inter 500ms fastinter 300ms fall 2 rise 1 on-marked-down shutdown-sessions
<servers>

backend programs
    # Without a cookie: each connection goes to the replica that has fewest.
    balance leastconn
    # A replica that has begun to drain since the last check answers 503 to a new program, and another one takes it.
    http-request set-header X-Voice-Replicas %[nbsrv(programs)]
    retry-on conn-failure empty-response 503
<program_servers>
"""

LOG_LINE = """
    log stdout format raw daemon"""

ACCESS_LOG_TEMPLATE = r"""
    # The log has no query (keys of programs, session names) and no token of a path.
    http-request set-var(txn.path) 'path,regsub("({token_paths})/.*","\1/_")'
    log-format "%ci [%tr] %b/%s %Tw/%Tc/%Tr/%Ta %ST %B %ts %HM %[var(txn.path)]"
"""
"""Lines of the frontend: one line of the log for each request, with the visitor's address."""

RIGHTS_TEMPLATE = """
    # Started as root, HAProxy opens its ports and reads the certificate, then goes on as this user in an empty folder.
    # It needs no /dev/log there: stdout is open already. A reload through systemd needs no `stats socket`.
    user {user}
    group {user}
    chroot {folder}"""

PROXIES_TEMPLATE = """ Another proxy in front says it by itself, and all its
    # visitors have its address: their guesses cannot be counted here.
{networks}"""

RESOLVERS_TEMPLATE = """
resolvers names
    nameserver first {nameserver}
    # Sixteen addresses do not fit into the 512 bytes of the default.
    accepted_payload_size 8192
    hold valid 2s
"""

REDIRECT_TEMPLATE = """
frontend redirect
    # Browsers give the microphone only to https pages.
    bind {redirect_from}
    http-request redirect scheme https code 308
"""

CHECK_LINES = (
    "option httpchk GET /health",
    r"http-check expect ! string \"draining\" error-status L7OKC",
    "default-server check inter 500ms fastinter 300ms fall 2 rise 1 on-marked-down shutdown-sessions",
)
"""Lines of a backend that checks its servers itself."""
