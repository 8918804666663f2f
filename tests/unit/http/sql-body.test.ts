import { describe, expect, test } from 'vitest'
import { DbError } from '#src/errors.js'
import { parseSqlBody } from '#src/http/sql-body.js'

const parametersMax = 4

function parse(text: string | Uint8Array) {
  return parseSqlBody(typeof text === 'string' ? Buffer.from(text) : text, parametersMax)
}

function refusal(text: string | Uint8Array): DbError {
  try {
    parse(text)
  } catch (thrown) {
    if (thrown instanceof DbError) return thrown
    throw thrown
  }
  throw new Error('the body was accepted')
}

describe('C1: a body', () => {
  test('needs only its SQL', () => {
    expect(parse('{"sql":"select 1"}')).toEqual({
      sql: 'select 1',
      parameters: { single: [], each: undefined },
      namespace: undefined,
      rows: 'object',
      transaction: false,
    })
  })

  test('may hold all fields, in any order', () => {
    const body = '{"rows":"array","transaction":true,"params":[],"namespace":"app","sql":"ü"}'
    expect(parse(body)).toEqual({
      sql: 'ü',
      parameters: { single: [], each: undefined },
      namespace: 'app',
      rows: 'array',
      transaction: true,
    })
  })

  test.each([
    ['', 'empty'],
    ['{', 'not JSON'],
    ['{"sql":"select 1"} x', 'not JSON'],
    ['\ufeff{"sql":"select 1"}', 'not JSON'],
    ['null', 'not null'],
    ['[]', 'not a list'],
    ['"select 1"', 'not a string'],
    ['{}', '"sql" is missing'],
    ['{"sql":1}', '"sql" must be a string, not a number'],
    ['{"sql":null}', '"sql" must be a string, not null'],
    ['{"sql":{}}', '"sql" must be a string, not an object'],
    ['{"sql":"a\\u0000b"}', 'zero character'],
    ['{"sql":"\\ud800"}', 'surrogate'],
    ['{"sql":"x","query":"y"}', 'unknown field "query"'],
    ['{"sql":"x","__proto__":1}', 'unknown field "__proto__"'],
    ['{"sql":"x","namespace":1}', '"namespace" must be a string'],
    ['{"sql":"x","rows":"table"}', '"rows" must be "object" or "array"'],
    ['{"sql":"x","rows":null}', '"rows" must be "object" or "array"'],
    ['{"sql":"x","transaction":"yes"}', '"transaction" must be true or false'],
    ['{"sql":"x","params":{}}', '"params" must be a list, not an object'],
    ['{"sql":"x","params":null}', '"params" must be a list, not null'],
    ['{"sql":"x","params":["ok","a\\u0000"]}', 'parameter $2 contains a zero character'],
    ['{"sql":"x","params":["\\udc00"]}', 'parameter $1 contains half of a surrogate pair'],
  ])('%j is refused: %s', (body, reason) => {
    const error = refusal(body)
    expect(error.code).toBe('BAD_REQUEST')
    expect(error.message).toContain(reason)
  })

  test('bytes that are not UTF-8 are refused', () => {
    const broken = Buffer.concat([Buffer.from('{"sql":"'), Buffer.of(0xff), Buffer.from('"}')])
    expect(refusal(broken).message).toBe('the body is not valid UTF-8')
  })

  test('whole surrogate pairs are text like any other', () => {
    expect(parse('{"sql":"x","params":["😀","\\ud83d\\ude00"]}').parameters.single).toEqual([
      '😀',
      '😀',
    ])
  })
})

describe('C3, C4: parameters', () => {
  const single = (params: string) => parse(`{"sql":"x","params":${params}}`).parameters.single
  const each = (params: string) => parse(`{"sql":"x","params":${params}}`).parameters.each

  test('keep their kind', () => {
    expect(single('[null,true,"text",""]')).toEqual([null, true, 'text', ''])
  })

  test.each([
    ['1', '1'],
    ['-7', '-7'],
    ['9007199254740991', '9007199254740991'],
    ['9007199254740993', '9007199254740993'],
    ['123456789012345678901234567890.10', '123456789012345678901234567890.10'],
    ['1.10', '1.10'],
    ['0.0', '0.0'],
    ['-0', '-0'],
    ['1e400', '1e400'],
    ['1E2', '1E2'],
    ['5e-324', '5e-324'],
  ])('the number %s keeps every digit', (source, expected) => {
    expect(single(`[ ${source} ]`)).toEqual([{ json: expected }])
    expect(single(`["x",${source},null]`)).toEqual(['x', { json: expected }, null])
  })

  test('objects and lists are passed as they are written', () => {
    const source = '{"a" : 1.50, "b":[1,2],"s":"]}\\"","a":2}'
    expect(single(`[${source}, [1, "x,]"] , {}]`)).toEqual([
      { json: source },
      { json: '[1, "x,]"]' },
      { json: '{}' },
    ])
  })

  test('a list of lists can be read both ways', () => {
    expect(single('[[1],["a",null]]')).toEqual([{ json: '[1]' }, { json: '["a",null]' }])
    expect(each('[[1],["a",null]]')).toEqual([[{ json: '1' }], ['a', null]])
    expect(each('[[],[2.50]]')).toEqual([[], [{ json: '2.50' }]])
  })

  test('a list of anything else is for one statement', () => {
    expect(each('[1,[2]]')).toBeUndefined()
    expect(each('[]')).toBeUndefined()
  })

  test('of two fields of one name the last counts, as in any JSON', () => {
    const body = '{"sql":"x","params":[1.5],"params" : [ {"a": 2.50} ] }'
    expect(parse(body).parameters.single).toEqual([{ json: '{"a": 2.50}' }])
  })

  test('a name written with escapes is the same name', () => {
    expect(parse('{"sql":"x","p\\u0061rams":[1.50]}').parameters.single).toEqual([{ json: '1.50' }])
  })

  test.each([parametersMax - 1, parametersMax])('%i of at most 4 are accepted', (count) => {
    expect(single(JSON.stringify(Array(count).fill(1)))).toHaveLength(count)
  })

  test('C6: one more than http.parameters_max is refused', () => {
    const five = JSON.stringify(Array(parametersMax + 1).fill('x'))
    expect(refusal(`{"sql":"x","params":${five}}`).code).toBe('TOO_MANY_PARAMETERS')
    expect(refusal(`{"sql":"x","params":[[],${five}]}`).code).toBe('TOO_MANY_PARAMETERS')
  })

  test('C6: the limit is for each statement', () => {
    const four = JSON.stringify(Array(parametersMax).fill('x'))
    const lists = `[${Array(6).fill(four).join(',')}]`
    expect(each(lists)).toHaveLength(6)
  })
})
