#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real Keystone, Barbican and Glance of Debian 12 on 127.0.0.1, all their state in one directory: no
# systemd, no file in /etc, no database server, no queue.
#
#   cloud.sh install        installs the Debian packages that are missing (as root)
#   cloud.sh start DIR      makes DIR's state if it is not there, starts what does not run, waits until all
#                           is ready (when it fails it leaves what it had started: call stop)
#   cloud.sh stop DIR       ends the processes that DIR/run names, and no others
#   cloud.sh restart DIR SERVICE    starts one service that has ended or was killed
#   cloud.sh status DIR     what runs; exit code 0 only if everything does
#   cloud.sh env DIR        prints `export OS_*=...` lines for the administrator, and the other users'
#
# Services: keystone, barbican, glance; glance2, the image service of a second region, whose operator
# allows little (Glance's own container formats, a size cap, a quota) and runs it under uwsgi; keystone10,
# the same identity service with tokens that live for ten seconds.
#
# CLOUD_PORT_BASE=15000, read at the first start of a DIR: the first of five ports to try.
# DIR/SERVICE/env may hold options for the next start, one to a line, as OS_<GROUP>__<OPTION>=value.
set -u
export LC_ALL=C.UTF-8
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Another python3 earlier in PATH may lack Debian's modules.
python=/usr/bin/python3
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

SERVICES=(keystone keystone10 barbican glance glance2)
SHORT_TOKEN_SECONDS=10
SECOND_IMAGE_CAP=2000000
SECOND_QUOTA=3000000

# From DIR/settings.
keystone_port='' barbican_port='' admin_password='' service_password='' demo_password='' alt_password=''

die() {
    printf 'cloud.sh: %s\n' "$*" >&2
    exit 1
}

# --- packages ---

cmd_install() {
    # shellcheck source=contrib/debian-packages.sh
    source "$here/../../contrib/debian-packages.sh"
    # open-iscsi and udev come along (glance-store wants os-brick): their daemons must not be started.
    local policy=/usr/sbin/policy-rc.d
    if [ "$(id -u)" -eq 0 ] && [ ! -e $policy ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    require_packages "${OPENSTACK_PACKAGES[@]}"
}

# --- settings ---

load() { # DIR: sets top, and the settings if there are any
    [ -n "${1:-}" ] || die "which DIR?"
    top=$(realpath -m -- "$1")
    case $top in
    *[[:space:]%\$\'\"]*) die "DIR may not hold blanks, quotes, % or \$: $top" ;;
    esac
    # shellcheck source=/dev/null
    if [ -f "$top/settings" ]; then source "$top/settings"; fi
}

put() { cat >"$1" || die "cannot write $1"; }

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

ports_are_free() { # BASE
    local offset
    for offset in 0 1 2 3 4; do port_is_free $(($1 + offset)) || return 1; done
}

fernet_key() { head -c 32 /dev/urandom | base64 -w0 | tr '+/' '-_'; }
password() { od -An -N 16 -tx1 /dev/urandom | tr -d ' \n'; }

make_settings() {
    local base=${CLOUD_PORT_BASE:-15000} try
    for try in $(seq 1 50); do
        ports_are_free "$base" && break
        base=$((base + 10))
        [ "$try" -lt 50 ] || die "no five free ports"
    done
    put "$top/settings.new" <<S
keystone_port=$base
glance_port=$((base + 1))
barbican_port=$((base + 2))
glance2_port=$((base + 3))
keystone10_port=$((base + 4))
admin_password=$(password)
service_password=$(password)
demo_password=$(password)
alt_password=$(password)
S
    chmod 600 "$top/settings.new"
    mv "$top/settings.new" "$top/settings" || die "cannot write $top/settings"
    load "$top"
}

port_of() { # SERVICE
    local name=$1_port
    printf '%s' "${!name}"
}

# --- configuration files ---

authtoken() { # USER SERVICE-TYPE: its [keystone_authtoken]. A cache would keep revoked tokens alive.
    cat <<S
[keystone_authtoken]
www_authenticate_uri = http://127.0.0.1:$keystone_port/v3
auth_url = http://127.0.0.1:$keystone_port/v3
auth_type = password
username = $1
password = $service_password
project_name = service
user_domain_id = default
project_domain_id = default
region_name = RegionOne
service_type = $2
token_cache_time = -1
service_token_roles_required = true
service_token_roles = admin
S
}

configure_keystone() {
    put "$top/keystone/keystone.conf" <<S
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///$top/keystone/keystone.db
[fernet_tokens]
key_repository = $top/keystone/fernet-keys
[fernet_receipts]
key_repository = $top/keystone/fernet-keys
[credential]
key_repository = $top/keystone/credential-keys
[token]
provider = fernet
allow_expired_window = 0
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = oslo_cache.dict
[oslo_policy]
policy_file = $top/keystone/policy.yaml
policy_dirs = $top/keystone/policy.d
S
    : >"$top/keystone/policy.yaml"
    put "$top/keystone/wsgi.py" <<'S'
from keystone.server.wsgi import initialize_public_application
application = initialize_public_application()
S
    # Two processes that cache by themselves would not see one another's changes.
    put "$top/keystone10/env" <<S
OS_TOKEN__EXPIRATION=$SHORT_TOKEN_SECONDS
OS_CACHE__ENABLED=false
S
}

# Barbican reads ~/.barbican/barbican.conf when it is imported; there is no --config-file.
configure_barbican() {
    put "$top/barbican/.barbican/barbican.conf" <<S
[DEFAULT]
use_stderr = true
sql_connection = sqlite:///$top/barbican/barbican.db
host_href = http://127.0.0.1:$barbican_port
db_auto_create = false
$(authtoken barbican key-manager)
[secretstore]
enabled_secretstore_plugins = store_crypto
[crypto]
enabled_crypto_plugins = simple_crypto
[simple_crypto_plugin]
kek = '$(fernet_key)'
[oslo_policy]
policy_file = $top/barbican/policy.yaml
policy_dirs = $top/barbican/policy.d
S
    : >"$top/barbican/policy.yaml"
    put "$top/barbican/barbican-api-paste.ini" <<'S'
[composite:main]
use = egg:Paste#urlmap
/: barbican_version
/v1: barbican_api
[pipeline:barbican_version]
pipeline = microversion versionapp
[pipeline:barbican_api]
pipeline = authtoken context microversion apiapp
[app:apiapp]
paste.app_factory = barbican.api.app:create_main_app
[app:versionapp]
paste.app_factory = barbican.api.app:create_version_app
[filter:context]
paste.filter_factory = barbican.api.middleware.context:ContextMiddleware.factory
[filter:microversion]
paste.filter_factory = barbican.api.middleware.microversion:MicroversionMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
S
    # The one of Debian's other packages has a path below /etc built in.
    put "$top/barbican/wsgi.py" <<S
from paste import deploy
application = deploy.loadapp('config:$top/barbican/barbican-api-paste.ini')
S
}

configure_glance() { # SERVICE, and on standard input what it has of its own
    local dir=$top/$1
    mkdir -p "$dir"/{images,staging,tasks,lock,policy.d}
    put "$dir/glance-api.conf" <<S
[DEFAULT]
use_stderr = true
bind_host = 127.0.0.1
bind_port = $(port_of "$1")
workers = 0
enabled_backends = local:file
enabled_import_methods = [glance-direct]
public_endpoint = http://127.0.0.1:$(port_of "$1")
$(cat)
[database]
connection = sqlite:///$dir/glance.db
[glance_store]
default_backend = local
[local]
filesystem_store_datadir = $dir/images
[os_glance_staging_store]
filesystem_store_datadir = $dir/staging
[os_glance_tasks_store]
filesystem_store_datadir = $dir/tasks
$(authtoken glance image)
[paste_deploy]
flavor = keystone
config_file = $dir/glance-api-paste.ini
[key_manager]
backend = barbican
[barbican]
auth_endpoint = http://127.0.0.1:$keystone_port/v3
barbican_endpoint = http://127.0.0.1:$barbican_port
[oslo_concurrency]
lock_path = $dir/lock
[oslo_policy]
policy_file = $dir/policy.yaml
policy_dirs = $dir/policy.d
[wsgi]
python_interpreter = $python
S
    : >"$dir/policy.yaml"
    put "$dir/glance-api-paste.ini" <<'S'
[pipeline:glance-api-keystone]
pipeline = healthcheck versionnegotiation authtoken context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:healthcheck]
paste.filter_factory = oslo_middleware:Healthcheck.factory
backends = disable_by_file
disable_by_file_path = /nonexistent/healthcheck_disable
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
S
}

configure() {
    mkdir -p "$top"/{log,run,keystone/policy.d,keystone10,barbican/.barbican,barbican/policy.d} ||
        die "cannot write $top"
    configure_keystone
    configure_barbican
    configure_glance glance <<S
[image_format]
container_formats = ami,ari,aki,bare,ovf,ova,docker,compressed,encrypted
S
    configure_glance glance2 <<S
image_size_cap = $SECOND_IMAGE_CAP
user_storage_quota = $SECOND_QUOTA
S
}

# --- databases ---

logged() { # NAME COMMAND...: its output goes to DIR/log/NAME.log
    local name=$1
    shift
    "$@" >"$top/log/$name.log" 2>&1 </dev/null && return
    tail -n 20 "$top/log/$name.log" >&2
    die "$name failed (see $top/log/$name.log)"
}

# Without it each reader that Keystone leaves open makes the next commits fail with "database is
# locked". The mode stays in the file.
write_ahead() {
    "$python" -c 'import sqlite3, sys
assert sqlite3.connect(sys.argv[1]).execute("pragma journal_mode=wal").fetchone() == ("wal",)' "$1" ||
        die "cannot change $1"
}

keystone_manage() { # NAME ARGUMENT...
    logged "$1" "$python" /usr/bin/keystone-manage --config-file "$top/keystone/keystone.conf" "${@:2}"
}

make_keystone() {
    local keys
    rm -rf "$top"/keystone/{keystone.db*,fernet-keys,credential-keys}
    keystone_manage keystone-db db_sync
    write_ahead "$top/keystone/keystone.db"
    # What fernet_setup and credential_setup write, without two more slow starts of keystone-manage.
    umask 077
    for keys in fernet-keys credential-keys; do
        mkdir "$top/keystone/$keys"
        fernet_key >"$top/keystone/$keys/0"
        fernet_key >"$top/keystone/$keys/1"
    done
    # keystonemiddleware asks for the internal address.
    local url=http://127.0.0.1:$keystone_port/v3
    keystone_manage keystone-bootstrap bootstrap --bootstrap-username admin \
        --bootstrap-password "$admin_password" --bootstrap-region-id RegionOne \
        --bootstrap-public-url "$url" --bootstrap-internal-url "$url" --bootstrap-admin-url "$url"
}

make_barbican() {
    rm -f "$top"/barbican/barbican.db*
    logged barbican-db env HOME="$top/barbican" \
        "$python" -c 'import sys; from barbican.cmd.db_manage import main; sys.exit(main())' upgrade
    write_ahead "$top/barbican/barbican.db"
}

make_glance() {
    rm -f "$top"/glance{,2}/glance.db*
    logged glance-db "$python" -c 'import sys; from glance.cmd.manage import main; sys.exit(main())' \
        --config-file "$top/glance/glance-api.conf" db_sync
    cp "$top/glance/glance.db" "$top/glance2/glance.db"
    write_ahead "$top/glance/glance.db"
    write_ahead "$top/glance2/glance.db"
}

once() { # NAME COMMAND...: leaves a mark, so that a start that was cut short is taken up again
    local mark=$top/run/$1.made
    shift
    [ -e "$mark" ] && return
    "$@" && touch "$mark"
}

make_databases() {
    (once keystone make_keystone) &
    local keystone=$!
    (once barbican make_barbican && once glance make_glance) &
    local others=$!
    wait "$keystone" || exit 1
    wait "$others" || exit 1
}

# --- processes ---

# Its start time in ticks; nothing for a zombie (a pid 1 may take a second to reap one).
started_at() { # PID
    { sed 's/.*) //' "/proc/$1/stat" | awk '$1 != "Z" && $1 != "X" { print $20 }'; } 2>/dev/null
}

pid_of() { # SERVICE: its pid, if the very process that was started here still lives
    local pid began
    read -r pid began 2>/dev/null < <(cat "$top/run/$1.pid" 2>/dev/null) || return 1
    [ -n "$began" ] && [ "$(started_at "$pid")" = "$began" ] || return 1
    printf '%s' "$pid"
}

spawn() { # SERVICE NAME=VALUE... -- COMMAND...
    local name=$1 environment=() line
    shift
    while [ "$1" != -- ]; do
        environment+=("$1")
        shift
    done
    shift
    if [ -f "$top/$name/env" ]; then
        while read -r line; do environment+=("$line"); done <"$top/$name/env"
    fi
    env -i PATH="$PATH" LC_ALL=C.UTF-8 PYTHONUNBUFFERED=1 "${environment[@]}" \
        setsid "$@" >>"$top/log/$name.log" 2>&1 </dev/null &
    printf '%s %s\n' "$!" "$(started_at $!)" >"$top/run/$name.pid"
}

# One process, so that writers never meet on SQLite and Keystone's cache is never stale. One thread,
# because a connection that is collected in another thread than its own can be neither rolled back nor
# closed. Without --skip-atexit-teardown every worker ends in a segmentation fault (greenlet's).
under_uwsgi() { # SERVICE NAME=VALUE ARGUMENT...
    spawn "$1" "$2" -- /usr/bin/uwsgi_python3 --master --need-app --die-on-term --no-orphans \
        --skip-atexit-teardown --buffer-size 65535 --disable-logging --log-5xx \
        --add-header "Connection: close" --processes 1 --http-socket "127.0.0.1:$(port_of "$1")" "${@:3}"
}

await_port() { # SERVICE: the worker of a killed uwsgi holds it a moment longer
    local try
    for try in $(seq 1 50); do
        port_is_free "$(port_of "$1")" && return
        sleep 0.1
    done
    die "the port $(port_of "$1") of $1 is taken by another process"
}

start_one() { # SERVICE
    pid_of "$1" >/dev/null && return
    await_port "$1"
    case $1 in
    keystone | keystone10)
        under_uwsgi "$1" OS_KEYSTONE_CONFIG_DIR="$top/keystone" --wsgi-file "$top/keystone/wsgi.py" ;;
    barbican)
        under_uwsgi barbican HOME="$top/barbican" --wsgi-file "$top/barbican/wsgi.py" ;;
    glance2)
        under_uwsgi glance2 OS_GLANCE_CONFIG_DIR="$top/glance2" --enable-threads --lazy-apps \
            --socket-timeout 30 --module 'glance.common.wsgi_app:init_app()' ;;
    glance)
        spawn glance HOME="$top/glance" -- \
            "$python" -c 'import sys; from glance.cmd.api import main; sys.exit(main())' \
            --config-file "$top/glance/glance-api.conf" ;;
    esac
}

answers() { # SERVICE
    local path=/ code
    case $1 in
    keystone*) path=/v3 ;;
    glance*) path=/healthcheck ;;
    esac
    code=$(curl --silent --output /dev/null --noproxy '*' --max-time 5 --write-out '%{http_code}' \
        "http://127.0.0.1:$(port_of "$1")$path")
    [ "$code" = 200 ] || [ "$1:$code" = barbican:300 ]
}

await() { # SERVICE: at most a minute
    local try
    for try in $(seq 1 600); do
        answers "$1" && return
        if ! pid_of "$1" >/dev/null || [ "$try" -eq 600 ]; then
            tail -n 30 "$top/log/$1.log" >&2
            die "$1 ended or does not answer (see $top/log/$1.log)"
        fi
        sleep 0.1
    done
}

# --- commands ---

lock() {
    exec 9>"$top/lock"
    flock -w 120 9 || die "another start or stop of $top is under way"
}

cmd_start() {
    local service
    lock
    load "$top"
    [ -f "$top/settings" ] || make_settings
    once configuration configure || exit 1
    make_databases
    # 9: the lock must not live on in the servers.
    for service in "${SERVICES[@]}"; do start_one "$service" 9>&-; done
    for service in "${SERVICES[@]}"; do await "$service"; done
    once users logged users "$python" "$here/cloud_users.py" "$top/settings" || exit 1
    printf 'cloud.sh: ready: %s\n' "$top"
}

cmd_restart() { # SERVICE
    lock
    start_one "$1" 9>&-
    await "$1"
}

cmd_stop() {
    local service pid try left
    [ -d "$top/run" ] || return 0
    lock
    for service in "${SERVICES[@]}"; do
        pid=$(pid_of "$service") && kill -TERM "$pid"
    done
    # A uwsgi that is still loading may ignore SIGTERM.
    for try in $(seq 1 50); do
        left=()
        for service in "${SERVICES[@]}"; do
            pid=$(pid_of "$service") && left+=("$pid")
        done
        [ ${#left[@]} -gt 0 ] || return 0
        [ "$try" -lt 50 ] || kill -KILL "${left[@]}"
        sleep 0.1
    done
}

cmd_status() {
    local service code=0 pid
    for service in "${SERVICES[@]}"; do
        if pid=$(pid_of "$service") && answers "$service"; then
            printf '%s up, port %s, pid %s\n' "$service" "$(port_of "$service")" "$pid"
        else
            printf '%s down\n' "$service"
            code=1
        fi
    done
    return $code
}

cmd_env() {
    cat <<S
export OS_AUTH_URL=http://127.0.0.1:$keystone_port/v3
export OS_IDENTITY_API_VERSION=3
export OS_REGION_NAME=RegionOne
export OS_USERNAME=admin
export OS_PASSWORD=$admin_password
export OS_PROJECT_NAME=admin
export OS_USER_DOMAIN_ID=default
export OS_PROJECT_DOMAIN_ID=default
export OS_INTERFACE=public
# Users demo, demo2, demomember, demoobs of project demo; user alt of project alt.
export DEMO_PASSWORD=$demo_password
export ALT_PASSWORD=$alt_password
S
}

case ${1:-} in
install) cmd_install ;;
start | stop | status | env | restart)
    load "${2:-}"
    [ "$1" = start ] || [ -f "$top/settings" ] || die "there is nothing in $top"
    mkdir -p "$top"
    "cmd_$1" "${@:3}"
    ;;
*)
    sed -n '3,/^set/{/^set/d;p}' "$0"
    exit 2
    ;;
esac
