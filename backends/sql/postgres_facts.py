"""The query for the facts that `postgres_requirements` checks.

https://www.postgresql.org/docs/current/functions-info.html documents the functions. The arguments are
comma-separated lists instead of arrays, because asyncpg would query the server for the array type.
"""

from __future__ import annotations

QUERY = r"""
WITH path AS (
    SELECT CASE WHEN part LIKE '"%' THEN btrim(part, '"') ELSE lower(part) END AS name
    FROM (
        SELECT btrim(replace(part, '$user', CAST(current_user AS text))) AS part
        FROM unnest(string_to_array(current_setting('search_path'), ',')) AS part
    ) AS parts
), needed AS (
    SELECT name, verb, CAST(to_regclass(quote_ident(current_schema()) || '.' || name) AS oid) AS id
    FROM (
        SELECT quote_ident(name), verb
        FROM unnest(string_to_array($2, ','), string_to_array($3, ',')) AS asked (name, verb)
    ) AS needed (name, verb)
    WHERE to_regclass(quote_ident(current_schema()) || '.' || $4) IS NOT NULL
), tables AS (
    SELECT DISTINCT name, id FROM needed WHERE id IS NOT NULL
)
SELECT
    current_setting('server_version') AS version,
    CAST(current_setting('server_version_num') AS integer) AS version_number,
    (
        SELECT string_agg(coalesce(current_setting(name, true), 'missing'), ',' ORDER BY place)
        FROM unnest(string_to_array($1, ',')) WITH ORDINALITY AS asked (name, place)
    ) AS settings,
    (
        SELECT string_agg(CAST(seconds AS text), ',' ORDER BY place)
        FROM unnest(string_to_array($5, ',')) WITH ORDINALITY AS asked (name, place),
            extract(epoch FROM CAST(coalesce(current_setting(name, true), '0') AS interval)) AS seconds
    ) AS time_limits,
    EXISTS (
        SELECT FROM pg_catalog.pg_collation
        WHERE collname = 'C' AND collnamespace = CAST('pg_catalog' AS regnamespace)
    ) AS has_collation,
    pg_is_in_recovery() AS is_standby,
    current_setting('transaction_read_only') = 'on' AS is_read_only,
    quote_ident(current_user) AS user,
    quote_ident(current_database()) AS database,
    current_setting('search_path') AS search_path,
    quote_ident(current_schema()) AS schema,
    has_schema_privilege(current_schema(), 'CREATE') AS may_create,
    (
        SELECT string_agg(quote_ident(nspname), ', ') FROM pg_catalog.pg_namespace
        WHERE nspname IN (SELECT name FROM path) AND NOT has_schema_privilege(oid, 'USAGE')
    ) AS closed_schemas,
    to_regclass(quote_ident(current_schema()) || '.' || $4) IS NOT NULL AS is_migrated,
    (
        SELECT string_agg(name || ' ' || verb, ',') FROM needed
        WHERE NOT has_table_privilege(id, verb) AND (verb = 'DELETE' OR EXISTS (
            SELECT FROM pg_catalog.pg_attribute
            WHERE attrelid = id AND attnum > 0 AND NOT attisdropped
                AND NOT has_column_privilege(id, attnum, verb)
        ))
    ) AS missing,
    (SELECT string_agg(name, ',' ORDER BY name) FROM tables WHERE row_security_active(id)) AS row_security,
    (
        SELECT string_agg(name, ',' ORDER BY name) FROM tables JOIN pg_catalog.pg_class ON oid = id
        WHERE NOT pg_has_role(relowner, 'USAGE')
    ) AS of_others
"""
"""Returns one row. The parameters are those of `postgres_requirements.arguments`."""
