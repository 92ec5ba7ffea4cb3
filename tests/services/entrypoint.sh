#!/bin/sh
# Stands in for the official image's entry point where that image cannot be had: the same variables, a first
# server to set up, a second one to serve, each saying "ready for connections".
set -eu
data=/var/lib/mysql
socket=/run/mysqld/mysqld.sock
server() { exec mariadbd --no-defaults --user=mysql --datadir="$data" --socket="$socket" --skip-name-resolve --character-set-server=utf8mb4 "$@"; }
variable() { eval "printf %s \"\${MARIADB_$1:-\${MYSQL_$1:-}}\""; }
quoted() { printf %s "$1" | sed "s/[\\\\']/\\\\&/g"; }

id mysql >/dev/null 2>&1 || useradd --system --home-dir "$data" mysql
mkdir -p /run/mysqld "$data" && chown mysql: /run/mysqld
if [ ! -d "$data/mysql" ]; then
    chown mysql: "$data"
    mariadb-install-db --no-defaults --user=mysql --datadir="$data" --auth-root-authentication-method=normal --skip-test-db >/dev/null
    server --skip-networking &
    first=$!
    tries=0
    until mariadb --no-defaults --socket="$socket" --user=root -e "SELECT 1" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || exit 1
        sleep 0.1
    done
    root=$(quoted "$(variable ROOT_PASSWORD)")
    {
        echo "CREATE USER 'root'@'%' IDENTIFIED BY '$root';"
        echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
        echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$root';"
        if [ -n "$(variable DATABASE)" ]; then echo "CREATE DATABASE \`$(variable DATABASE)\`;"; fi
        if [ -n "$(variable USER)" ]; then
            echo "CREATE USER '$(variable USER)'@'%' IDENTIFIED BY '$(quoted "$(variable PASSWORD)")';"
            echo "GRANT ALL ON \`$(variable DATABASE)\`.* TO '$(variable USER)'@'%';"
        fi
    } | mariadb --no-defaults --socket="$socket" --user=root
    kill "$first"
    wait "$first" || true
fi
server --bind-address=0.0.0.0 "$@"
