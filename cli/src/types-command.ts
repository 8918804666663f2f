/** `kalam types`: the tables of a server as TypeScript types. */
import type { ExitName } from './exit-code.js'
import { schemaTypes, type Catalog, type CatalogColumn, type CatalogType } from './schema-types.js'
import type { ServerConnection, StatementResult } from './server-connection.js'
import { exitOf } from './sql-command.js'
import { formatSqlError } from './sql-error-text.js'
import type { Surroundings } from './surroundings.js'

/** What the caller may use; one namespace, if it was named. Throws CliError. */
export async function runTypes(
  connection: ServerConnection,
  { stdout, stderr }: Surroundings,
): Promise<ExitName> {
  const { url, namespace } = connection.target
  const sql = catalogSql(namespace)
  const reply = await connection.run({ sql, rows: 'object' })
  if (reply.kind === 'error') {
    const { error, status } = reply
    stderr.write(
      formatSqlError({ error, status, text: sql, index: undefined, line: 1, column: 1 }, undefined),
    )
    return exitOf({ status })
  }
  const [columns, types, views] = reply.results
  // With the columns that `catalogSql` names.
  const catalog: Catalog = {
    columns: rowsOf(columns) as readonly CatalogColumn[],
    types: rowsOf(types) as readonly CatalogType[],
    views: new Set((rowsOf(views) as readonly { readonly name: string }[]).map(({ name }) => name)),
  }
  stdout.write(schemaTypes(catalog, url))
  return 'ok'
}

function rowsOf(result: StatementResult | undefined): readonly unknown[] {
  return (result?.rows ?? []).map((row): unknown => JSON.parse(row))
}

function catalogSql(namespace: string | undefined): string {
  const only = namespace === undefined ? '' : `AND namespace = '${namespace.replaceAll("'", "''")}'`
  return `
    SELECT namespace, table_name, name, type, nullable, default_value FROM system.columns
      WHERE namespace <> 'system' ${only} ORDER BY namespace, table_name, position;
    SELECT pg_catalog.format_type(t.oid, NULL) AS name,
           CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, NULL) END AS base,
           (SELECT pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
              FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) AS labels
      FROM pg_catalog.pg_type t WHERE t.typtype IN ('d', 'e') ORDER BY t.oid;
    SELECT namespace || '.' || name AS name FROM system.tables WHERE kind LIKE '%view'`
}
