#!/bin/sh
# Run once by the postgres image, at the first start of an empty volume: a role and a database for each service,
# and no way from one to another. User, password and database are those of the URL in the service's secret.
set -eu

for service in auth report order sync; do
    url=$(cat "/run/secrets/database_url_$service")
    # postgres://<user>:<password>@<host>:<port>/<database>; scripts/up.sh makes passwords of hex digits only.
    rest=${url#*://}
    user=${rest%%:*}
    rest=${rest#*:}
    password=${rest%%@*}
    database=${rest##*/}
    psql -v ON_ERROR_STOP=1 -q --username "${POSTGRES_USER:-postgres}" --dbname postgres \
        -v user="$user" -v password="$password" -v database="$database" <<'SQL'
CREATE ROLE :"user" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"user";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
    echo "database $database belongs to $user"
done
