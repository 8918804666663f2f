import { describe, expect, test } from 'vitest'
import { readTree } from '#src/live/read-tree.js'

/** As PostgreSQL 18 prints it, in lines of at most 78 columns. */
const tree = `{QUERY :commandType 1 :querySource 0 :hasAggs false :hasWindowFuncs
true :hasTargetSRFs false :cteList <> :rtable ({RANGETBLENTRY :alias {ALIAS
:aliasname x :colnames <>} :eref {ALIAS :aliasname x :colnames ("id" "n")}
:rtekind 0 :relid 16384 :inh true :relkind r} {RANGETBLENTRY :alias <> :eref
{ALIAS :aliasname a\\ \\(b\\} :colnames ("x")} :rtekind 0 :relid 1259 :inh true
:relkind v}) :rteperminfos ({RTEPERMISSIONINFO :relid 16384 :selectedCols (b 8
9)}) :jointree {FROMEXPR :quals {OPEXPR :opno 16391 :opfuncid 16390 :args
({VAR :varno 1 :vartype 16400 :vartypmod 20004 :varlevelsup 0 :location 17000}
{CONST :consttype 1184 :consttypmod -1 :constlen 8 :location 33 :constvalue 8
[ 0 0 16500 0 0 0 0 0 ]}) :location 31}} :targetList ({TARGETENTRY :expr
{COERCETODOMAIN :arg {FUNCEXPR :funcid 1299 :funcresulttype 1184 :location 7}
:resulttype 16393 :location 20}} {TARGETENTRY :expr {SQLVALUEFUNCTION :op 10
:type 19 :location 40}}) :sortClause ({SORTGROUPCLAUSE :eqop 96 :sortop 97})
:newField 16777}`

test('every relation, with the name that its columns go by if that is plain', () => {
  expect(readTree(tree).relations).toEqual([
    { oid: 16384, alias: 'x' },
    { oid: 1259, alias: undefined },
  ])
})

test('every function, operator functions too, and where it stands', () => {
  expect(readTree(tree).calls).toEqual([
    { functionOid: 16390, byte: 31 },
    { functionOid: 1299, byte: 7 },
  ])
})

test('whatever may be of what was made, in fields that nobody has heard of too', () => {
  const { objects, values } = readTree(tree)
  expect([...objects].sort()).toEqual([16390, 16391, 16393, 16777])
  expect(values).toEqual([16400])
})

test('keywords and constants, by their places', () => {
  const { keywords, constants, typeOids } = readTree(tree)
  expect(keywords).toEqual([{ number: 10, byte: 40 }])
  expect(constants).toEqual([{ typeOid: 1184, byte: 33 }])
  expect(typeOids.has(1184)).toBe(true)
})

describe('whether rows come out as they go in', () => {
  test.each([
    ['{QUERY :hasAggs false :hasWindowFuncs false :hasTargetSRFs false :rtable <>}', false],
    ['{QUERY :hasAggs true :hasWindowFuncs false :hasTargetSRFs false :rtable <>}', true],
    ['{QUERY :hasAggs false :hasWindowFuncs false :hasTargetSRFs\n true :rtable <>}', true],
    ['{QUERY :hasAggs false :rtable ({RANGETBLENTRY :subquery {QUERY :hasAggs true}})}', false],
  ])('%s: %s', (text, expected) => {
    expect(readTree(text).regroups).toBe(expected)
  })
})
