/**
 * PostgreSQL's own functions that may answer otherwise tomorrow (`provolatile = 's'`), by what their
 * answer depends on. A name that is not here is refused, so that a new PostgreSQL brings no surprise;
 * a test holds the list to PostgreSQL's.
 */

/** What, beside its arguments and tables that are seen elsewhere, a function depends on. */
export type Reliance =
  /** Settings at most, which live queries all have alike. */
  | 'nothing'
  /** Who asks. */
  | 'caller'
  /** Definitions and rights: each change of them is told of, and the query is run again. */
  | 'catalog'
  | 'clock'
  /** Something that changes without a word. */
  | 'server'

export function relianceOf(name: string, argumentCount: number): Reliance {
  if (clock.has(name) || (name === 'age' && argumentCount === 1)) return 'clock'
  if (caller.has(name)) return 'caller'
  if (catalog.has(name)) return 'catalog'
  return nothing.has(name) ? 'nothing' : 'server'
}

/** The same for what is written without parentheses: CURRENT_DATE, CURRENT_USER. */
export function relianceOfKeyword(number: number): Reliance {
  const name = keywords[number]
  if (name === undefined) return 'server'
  if (name === 'CURRENT_CATALOG') return 'nothing'
  if (name === 'CURRENT_SCHEMA') return 'catalog'
  return number < firstOfCaller ? 'clock' : 'caller'
}

/** SQLValueFunctionOp of primnodes.h, in its order. */
export const keywords = [
  ...['CURRENT_DATE', 'CURRENT_TIME', 'CURRENT_TIME', 'CURRENT_TIMESTAMP', 'CURRENT_TIMESTAMP'],
  ...['LOCALTIME', 'LOCALTIME', 'LOCALTIMESTAMP', 'LOCALTIMESTAMP', 'CURRENT_ROLE', 'CURRENT_USER'],
  ...['USER', 'SESSION_USER', 'CURRENT_CATALOG', 'CURRENT_SCHEMA'],
] as const
const firstOfCaller = keywords.indexOf('CURRENT_ROLE')

/** Extensions whose functions read no tables, also those that are only STABLE. */
export const settledExtensions: ReadonlySet<string> = new Set(['pg_trgm', 'unaccent', 'hstore'])

const clock: ReadonlySet<string> = new Set([
  ...['now', 'transaction_timestamp', 'statement_timestamp', 'clock_timestamp', 'timeofday'],
])

const caller: ReadonlySet<string> = new Set([
  ...['current_setting', 'current_user', 'session_user', 'system_user', 'getpgusername'],
])

const catalog: ReadonlySet<string> = new Set([
  ...['to_regclass', 'to_regcollation', 'to_regnamespace', 'to_regoper', 'to_regoperator'],
  ...['to_regproc', 'to_regprocedure', 'to_regrole', 'to_regtype', 'to_regtypemod', 'regclass'],
  ...['format_type', 'oidvectortypes', 'col_description', 'obj_description', 'shobj_description'],
  ...['current_schema', 'current_schemas', 'row_security_active', 'get_current_ts_config'],
  ...['has_any_column_privilege', 'has_column_privilege', 'has_database_privilege'],
  ...['has_foreign_data_wrapper_privilege', 'has_function_privilege', 'has_language_privilege'],
  ...['has_schema_privilege', 'has_sequence_privilege', 'has_server_privilege'],
  ...['has_table_privilege', 'has_type_privilege', 'ts_debug', 'ts_parse', 'ts_token_type'],
])

const nothing: ReadonlySet<string> = new Set([
  ...['age', 'array_to_json', 'array_to_string', 'anytextcat', 'textanycat', 'concat', 'concat_ws'],
  ...[
    'convert',
    'convert_from',
    'convert_to',
    'current_database',
    'getdatabaseencoding',
    'version',
  ],
  ...['date', 'date_add', 'date_subtract', 'date_part', 'date_trunc', 'extract', 'overlaps'],
  ...['date_cmp_timestamptz', 'date_eq_timestamptz', 'date_ge_timestamptz', 'date_gt_timestamptz'],
  ...['date_le_timestamptz', 'date_lt_timestamptz', 'date_ne_timestamptz'],
  ...['timestamp_cmp_timestamptz', 'timestamp_eq_timestamptz', 'timestamp_ge_timestamptz'],
  ...['timestamp_gt_timestamptz', 'timestamp_le_timestamptz', 'timestamp_lt_timestamptz'],
  ...['timestamp_ne_timestamptz', 'timestamptz_cmp_date', 'timestamptz_cmp_timestamp'],
  ...['timestamptz_eq_date', 'timestamptz_eq_timestamp', 'timestamptz_ge_date'],
  ...['timestamptz_ge_timestamp', 'timestamptz_gt_date', 'timestamptz_gt_timestamp'],
  ...['timestamptz_le_date', 'timestamptz_le_timestamp', 'timestamptz_lt_date'],
  ...['timestamptz_lt_timestamp', 'timestamptz_ne_date', 'timestamptz_ne_timestamp'],
  ...['timestamptz_mi_interval', 'timestamptz_pl_interval', 'interval_pl_timestamptz', 'in_range'],
  ...['time', 'timetz', 'timestamp', 'timestamptz', 'timezone', 'make_timestamptz'],
  ...['to_char', 'to_date', 'to_timestamp', 'to_number', 'money', 'numeric', 'format', 'length'],
  ...[
    'quote_literal',
    'quote_nullable',
    'generate_series',
    'enum_first',
    'enum_last',
    'enum_range',
  ],
  ...['to_json', 'to_jsonb', 'row_to_json', 'json_build_array', 'json_build_object'],
  ...['jsonb_build_array', 'jsonb_build_object', 'json_populate_record', 'json_populate_recordset'],
  ...['jsonb_populate_record', 'jsonb_populate_record_valid', 'jsonb_populate_recordset'],
  ...['json_to_record', 'json_to_recordset', 'jsonb_to_record', 'jsonb_to_recordset'],
  ...['json_agg', 'json_agg_strict', 'json_object_agg', 'json_object_agg_strict'],
  ...['json_object_agg_unique', 'json_object_agg_unique_strict', 'jsonb_agg', 'jsonb_agg_strict'],
  ...['jsonb_path_exists_tz', 'jsonb_path_match_tz'],
  ...['jsonb_path_query_tz', 'jsonb_path_query_array_tz', 'jsonb_path_query_first_tz'],
  ...['json_to_tsvector', 'jsonb_to_tsvector', 'to_tsvector', 'to_tsquery', 'plainto_tsquery'],
  ...['phraseto_tsquery', 'websearch_to_tsquery', 'ts_headline', 'ts_match_tq', 'ts_match_tt'],
  ...['xml', 'xml_is_well_formed', 'pg_typeof', 'pg_column_size', 'pg_column_compression'],
  ...['pg_collation_for', 'pg_client_encoding'],
])
