/** Walking PostgreSQL's syntax trees as libpg-query gives them: fields at their default are absent. */
import type { Node, RawStmt } from 'libpg-query'

/** The names of all nodes: `SelectStmt`, `RangeVar`, … */
export type NodeKind = Node extends infer N ? (N extends unknown ? keyof N : never) : never

/** A statement by its node's name. */
export type StatementKind = Exclude<Extract<NodeKind, `${string}Stmt`>, InnerKind>

/** Nodes that end in Stmt and are never statements of their own. */
type InnerKind =
  'RawStmt' | 'SetOperationStmt' | 'ReturnStmt' | 'PLAssignStmt' | 'ReplicaIdentityStmt'

/** The fields of a node of this kind. */
export type Fields<Kind extends NodeKind> =
  Extract<Node, Record<Kind, unknown>> extends infer N
    ? N extends Record<Kind, infer F>
      ? F
      : never
    : never

/** One statement: which, and its node. */
export interface Statement {
  readonly kind: StatementKind
  readonly node: Node
}

/** The one statement of a parse; nothing unless there is exactly one. */
export function onlyStatement(statements: readonly RawStmt[] | undefined): Statement | undefined {
  const [first, second] = statements ?? []
  if (first?.stmt === undefined || second !== undefined) return undefined
  return statementOf(first.stmt)
}

/** A node as a statement, if it is one. */
export function statementOf(node: Node): Statement | undefined {
  const [kind] = Object.keys(node)
  return kind !== undefined && isStatementKind(kind) ? { kind, node } : undefined
}

/** Whether a key names a statement; fields such as `selectStmt` start small. */
export function isStatementKind(key: string): key is StatementKind {
  return key.endsWith('Stmt') && /^[A-Z]/.test(key)
}

/** The fields of a node if it is of this kind. */
export function fieldsOf<Kind extends NodeKind>(
  node: Node | undefined,
  kind: Kind,
): Fields<Kind> | undefined {
  // The one key of a node names its kind, and so the type of its value.
  return (node as Partial<Record<Kind, Fields<Kind>>> | undefined)?.[kind]
}

/**
 * Calls `visit` for every named part of the tree. Not recursive: trees are as deep as a caller's expression is long.
 */
export function visitTree(root: object, visit: TreeVisitor): void {
  const pending: unknown[] = [root]
  while (pending.length > 0) {
    const next = pending.pop()
    if (Array.isArray(next)) {
      for (const element of next) if (isObject(element)) pending.push(element)
    } else if (isObject(next)) visitFields(next, visit, pending)
  }
}

function visitFields(
  fields: Readonly<Record<string, unknown>>,
  visit: TreeVisitor,
  pending: unknown[],
): void {
  for (const key of Object.keys(fields)) {
    const value = fields[key]
    if (!isObject(value)) continue
    if (!Array.isArray(value)) visit(key, value)
    pending.push(value)
  }
}

/** Gets the key under which an object stands, and the object. */
type TreeVisitor = (key: string, fields: Readonly<Record<string, unknown>>) => void

/** The texts of a list of String nodes, such as a qualified name. */
export function stringsOf(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).flatMap((node) => fieldsOf(node, 'String')?.sval ?? [])
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
