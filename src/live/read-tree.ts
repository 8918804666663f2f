/**
 * What PostgreSQL's own tree of a query says that it reads and calls, operators and casts included.
 * Whatever number in it may be the OID of something that was made counts: nothing is overlooked
 * because a kind of node is not known here.
 */

export interface TreeFacts {
  /** Tables and views, each as often as it stands in the query; names of the system's, too. */
  readonly relations: readonly TreeRelation[]
  readonly calls: readonly TreeCall[]
  /** OIDs of what was made, as far as numbers tell: functions, operators, types, and others. */
  readonly objects: readonly number[]
  /** OIDs of types of columns: of values that are read, not made. */
  readonly values: readonly number[]
  /** CURRENT_DATE, CURRENT_USER and their like, by their number in primnodes.h. */
  readonly keywords: readonly TreeKeyword[]
  readonly constants: readonly TreeConstant[]
  /** Of anything in it, PostgreSQL's own as well. */
  readonly typeOids: ReadonlySet<number>
  /** Its rows are not one for one those that it reads: aggregates, windows, functions of sets. */
  readonly regroups: boolean
}

export interface TreeRelation {
  readonly oid: number
  /** What columns are qualified with; undefined if the tree does not tell for sure. */
  readonly alias: string | undefined
}

export interface TreeCall {
  readonly functionOid: number
  /** Byte in the text of the query. */
  readonly byte: number | undefined
}

export interface TreeKeyword {
  readonly number: number
  readonly byte: number | undefined
}

export interface TreeConstant {
  readonly typeOid: number
  readonly byte: number | undefined
}

/** OIDs below are PostgreSQL's own (transam.h, FirstNormalObjectId). */
export const firstMadeOid = 16_384

/** Fields that hold the OID of a function. */
const functionFields = new Set([
  ...['funcid', 'opfuncid', 'aggfnoid', 'winfnoid', 'hashfuncid', 'negfuncid', 'tsmhandler'],
  ...['startInRangeFunc', 'endInRangeFunc'],
])

/** Fields whose numbers are none of OIDs, and may be large. */
const plainFields =
  /^(?:\w*location|list_start|list_end|stmt_len|\w*typmod|typemod|constlen|constvalue|enrtuples)$/

/** A node that has begun. */
interface OpenNode {
  readonly kind: string
  readonly functions: number[]
  relation: number
  alias: string | undefined
  number: number
  typeOid: number
  byte: number | undefined
}

interface Found {
  readonly relations: TreeRelation[]
  readonly calls: TreeCall[]
  readonly objects: Set<number>
  readonly values: Set<number>
  readonly keywords: TreeKeyword[]
  readonly constants: TreeConstant[]
  readonly typeOids: Set<number>
}

/** Reads the notation of PostgreSQL's `nodeToString`. */
export function readTree(text: string): TreeFacts {
  const found: Found = {
    ...{ relations: [], calls: [], keywords: [], constants: [] },
    ...{ objects: new Set(), values: new Set(), typeOids: new Set() },
  }
  const open: OpenNode[] = []
  let field = ''
  for (const [token] of text.matchAll(/\S+/g)) {
    const begins = /^\(*\{([A-Z]+)$/.exec(token)
    if (begins !== null) {
      open.push(newNode(begins[1] ?? ''))
      continue
    }
    if (/^:\w+$/.test(token)) {
      field = token.slice(1)
      continue
    }
    noteValue(field, token, { node: open.at(-1), found })
    // Of a name with a space in it the rest is no name.
    if (field === 'aliasname') field = ''
    for (let ends = closingBraces(token); ends > 0; ends--) close(open, found)
  }
  const { objects, values } = found
  return {
    ...found,
    ...{ objects: [...objects], values: [...values] },
    // The fields of the topmost query come first.
    regroups: /^[^(]*?:has(?:Aggs|WindowFuncs|TargetSRFs)\s+true/.test(text),
  }
}

function newNode(kind: string): OpenNode {
  const nothing = { relation: 0, number: 0, typeOid: 0 }
  return { kind, functions: [], alias: undefined, byte: undefined, ...nothing }
}

/** Braces of names are written `\}`. */
function closingBraces(token: string): number {
  const ending = /(?:^|[^\\}])([})]*)$/.exec(token)?.[1] ?? ''
  return ending.split('}').length - 1
}

function noteValue(
  field: string,
  token: string,
  { node, found }: { readonly node: OpenNode | undefined; readonly found: Found },
): void {
  if (field === 'aliasname' && node !== undefined) node.alias = nameOf(token)
  const digits = /^[([]*(\d+)[)}\]]*$/.exec(token)?.[1]
  if (digits === undefined) return
  const number = Number(digits)
  if (field === 'location' && node !== undefined) node.byte = number
  if (field === 'op' && node !== undefined) node.number = number
  if (field === 'consttype' && node !== undefined) node.typeOid = number
  if (field === 'relid' && node !== undefined) node.relation = number
  else if (functionFields.has(field) && number > 0) node?.functions.push(number)
  if (field.endsWith('type')) found.typeOids.add(number)
  if (number < firstMadeOid || plainFields.test(field) || field === 'relid') return
  if (field === 'vartype') found.values.add(number)
  else found.objects.add(number)
}

/** Longer texts may go on in another line. */
const nameUnitsMax = 64

function nameOf(token: string): string | undefined {
  const isWhole = token.length <= nameUnitsMax && !token.endsWith('\\') && token !== '<>'
  return isWhole ? token.replaceAll(/\\(.)/g, '$1') : undefined
}

function close(open: OpenNode[], found: Found): void {
  const node = open.pop()
  if (node === undefined) return
  const { byte } = node
  const parent = open.at(-1)
  // Of `alias` and `eref`, which comes later and has the name in any case.
  if (node.kind === 'ALIAS' && parent !== undefined) parent.alias = node.alias
  if (node.kind === 'RANGETBLENTRY' && node.relation > 0)
    found.relations.push({ oid: node.relation, alias: node.alias })
  if (node.kind === 'SQLVALUEFUNCTION') found.keywords.push({ number: node.number, byte })
  if (node.kind === 'CONST' && byte !== undefined)
    found.constants.push({ typeOid: node.typeOid, byte })
  for (const functionOid of node.functions) found.calls.push({ functionOid, byte })
}
