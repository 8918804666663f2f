/** Which schemas a statement changes something in; what it only reads from does not count. */
import type { Node, RangeVar } from 'libpg-query'
import { fieldsOf, stringsOf, type Statement } from './syntax-tree.js'

export interface TargetSchema {
  readonly schema: string
  /** Byte offset of the name in the text, where the tree has it. */
  readonly byte?: number | undefined
}

/** Schemas that belong to the system, for callers and admins alike. */
export function isReservedSchema(schema: string | undefined): boolean {
  return reservedSchemas.has(schema ?? '') || /^kalam_/.test(schema ?? '')
}

const reservedSchemas = new Set(['kalam', 'system', 'pg_catalog', 'pg_toast', 'information_schema'])

export function targetSchemas(statement: Statement): TargetSchema[] {
  const [fields]: readonly unknown[] = Object.values(statement.node)
  if (!isObject(fields)) return []
  const object = String(fields['removeType'] ?? fields['objtype'] ?? fields['objectType'])
  return [
    ...relationFields.flatMap((key) => schemasOfRelation(fields[key])),
    ...nameFields.flatMap((key) => schemasOfName(fields[key], shortestQualified(object))),
    ...schemaNames(fields, object),
    // The field of this name in a trigger is only called.
    ...(statement.kind === 'CreateFunctionStmt' ? schemasOfName(fields['funcname'], 2) : []),
  ]
}

/** Fields that hold one relation or several. */
const relationFields = [
  'objects',
  'relation',
  'relations',
  'rels',
  'table',
  'view',
  'sequence',
  'typevar',
  'into',
]

/** Fields that hold a qualified name or several. */
const nameFields = [
  'object',
  'objects',
  'defnames',
  'domainname',
  'typeName',
  'func',
  'opclassname',
]

function schemasOfRelation(value: unknown): TargetSchema[] {
  if (Array.isArray(value)) return value.flatMap(schemasOfRelation)
  if (!isObject(value)) return []
  if (typeof value['relname'] === 'string') return schemaOfRangeVar(value)
  return [value['RangeVar'], value['VacuumRelation'], value['relation'], value['rel']].flatMap(
    schemasOfRelation,
  )
}

/** The schema that a relation names, if it names one. */
export function schemaOfRangeVar(table: RangeVar): TargetSchema[] {
  // A view over all settings: an UPDATE of it is as good as SET.
  const isSettings = table.schemaname === undefined && table.relname === 'pg_settings'
  const schema = isSettings ? 'pg_catalog' : table.schemaname
  return schema === undefined ? [] : [{ schema, byte: table.location }]
}

/** Names as lists of strings, as List nodes, as functions with arguments, as types. */
function schemasOfName(value: unknown, shortest: number): TargetSchema[] {
  if (!Array.isArray(value)) return isObject(value) ? schemasOfName([value], shortest) : []
  // What is in these fields are nodes.
  const nodes = value as readonly Node[]
  const strings = stringsOf(nodes)
  if (strings.length > 0) return firstOf(strings, shortest)
  return nodes.flatMap((node) => {
    const named = fieldsOf(node, 'ObjectWithArgs') ?? (isNamed(node) ? node : undefined)
    const names =
      fieldsOf(node, 'List')?.items ?? named?.objname ?? fieldsOf(node, 'TypeName')?.names
    return firstOf(stringsOf(names), shortest)
  })
}

/** AlterFunctionStmt holds its function without the name of the node around it. */
function isNamed(value: object): value is { readonly objname?: Node[] } {
  return 'objname' in value
}

function firstOf(names: readonly string[], shortest: number): TargetSchema[] {
  const [schema] = names
  return schema !== undefined && names.length >= shortest ? [{ schema }] : []
}

/** Parts of a qualified name: `schema.name`, and `schema.table.name` for what is part of a table. */
function shortestQualified(object: string): number {
  if (object === 'OBJECT_CAST') return Infinity
  return partsOfTables.has(object) ? 3 : 2
}

const partsOfTables = new Set([
  'OBJECT_COLUMN',
  'OBJECT_TABCONSTRAINT',
  'OBJECT_TRIGGER',
  'OBJECT_POLICY',
  'OBJECT_RULE',
])

/** Statements about schemas themselves, or all that is in one. */
function schemaNames(fields: Readonly<Record<string, unknown>>, object: string): TargetSchema[] {
  const names = [fields['newschema']]
  if ('schemaname' in fields) names.push(fields['schemaname'])
  if (fields['renameType'] === 'OBJECT_SCHEMA') names.push(fields['subname'], fields['newname'])
  if (object === 'OBJECT_SCHEMA' || fields['targtype'] === 'ACL_TARGET_ALL_IN_SCHEMA') {
    names.push(...plainNames(fields['objects']), ...plainNames(fields['object']))
  }
  return names.flatMap((schema) => (typeof schema === 'string' ? [{ schema }] : []))
}

function plainNames(value: unknown): string[] {
  if (value === undefined) return []
  // These fields hold String nodes here.
  return stringsOf((Array.isArray(value) ? value : [value]) as readonly Node[])
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
