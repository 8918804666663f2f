/** Where to connect, as whom, and how patiently. Checked here, for every language alike. */
import { ascii } from './ascii'
import { isOneOf, isText, keep, Text } from './bytes'
import { fail } from './failure'
import { clearSink, putBytes, putText, sinkLength, sinkStart } from './sink'

export const url = changetype<Text>(memory.data(8))
export const key = changetype<Text>(memory.data(8))
/** A user that the key must belong to; the server checks it. */
export const userId = changetype<Text>(memory.data(8))
export let hasUserId: bool = false
/** Whether all that was given last may be used. */
export let areGood: bool = false

export function setGood(isGood: bool): void {
  areGood = isGood
}

/** By the numbers of ABI.md, "Settings"; none is numbered 0. */
const values = memory.data<f64>([0, 250, 30_000, Infinity, 30_000, 15_000, 10_000, 15_000])
const settingMax: u32 = 7

function valueOf(name: u32): f64 {
  return load<f64>(values + ((<usize>name) << 3))
}

/** The first wait before connecting again; it doubles from there. */
export function reconnectMsMin(): f64 {
  return valueOf(1)
}

export function reconnectMsMax(): f64 {
  return valueOf(2)
}

export function attemptsMax(): f64 {
  return valueOf(3)
}

/** 0: a query may take as long as it likes. */
export function requestMsMax(): f64 {
  return valueOf(4)
}

/** A server that says nothing for so long is pinged. */
export function quietMsMax(): f64 {
  return valueOf(5)
}

export function pongMsMax(): f64 {
  return valueOf(6)
}

/** From opening a socket to being known. */
export function connectMsMax(): f64 {
  return valueOf(7)
}

/** False for a name that is none, or a value that is not 0 or more. */
export function changeSetting(name: u32, value: f64): bool {
  // Counted from 1, so that what is below is far above.
  if (name - 1 >= settingMax || !(value >= 0)) return false
  store<f64>(values + ((<usize>name) << 3), value)
  return true
}

export function expectUser(from: usize, length: u32, isGiven: bool): void {
  keep(userId, from, length)
  hasUserId = isGiven
}

// ---- The key

const keyLengthWhole: u32 = 47

/** False, with a failure, if this cannot be a key. */
export function setKey(from: usize, length: u32): bool {
  if (length == 0) {
    fail(
      ascii('CONFIG_API_KEY_MISSING'),
      ascii('apiKey is missing: the client needs an API key (kal_...)'),
    )
    return false
  }
  if (!isKey(from, length)) {
    fail(
      ascii('CONFIG_API_KEY_INVALID'),
      ascii('apiKey is not an API key: one is kal_ and 43 letters, digits, - or _, without spaces'),
    )
    return false
  }
  keep(key, from, length)
  return true
}

/** 32 bytes in base64url: the last character has four bits, so its two lowest are zero. */
function isKey(from: usize, length: u32): bool {
  if (length != keyLengthWhole || !isText(from, 4, ascii('kal_'))) return false
  for (let at: u32 = 4; at < length; at++) if (sextet(load<u8>(from + at)) < 0) return false
  return (sextet(load<u8>(from + length - 1)) & 3) == 0
}

function sextet(byte: u32): i32 {
  if (byte >= 0x41 && byte <= 0x5a) return byte - 0x41
  if (byte >= 0x61 && byte <= 0x7a) return byte - 0x61 + 26
  if (isDigit(byte)) return byte - 0x30 + 52
  if (byte == 0x2d) return 62
  return byte == 0x5f ? 63 : -1
}

// ---- The URL

const colon: u32 = 0x3a
const slash: u32 = 0x2f

/** False, with a failure, if no server can be there. */
export function setUrl(given: usize, givenLength: u32): bool {
  let from = given
  let end = given + givenLength
  while (from < end && load<u8>(from) <= 0x20) from += 1
  while (end > from && load<u8>(end - 1) <= 0x20) end -= 1
  const length = <u32>(end - from)
  if (length == 0) {
    fail(
      ascii('CONFIG_URL_MISSING'),
      ascii('url is missing: the client needs the URL of a server, such as http://127.0.0.1:2900'),
    )
    return false
  }
  const schemeLength = schemeOf(from, length)
  const reason = schemeLength == 0 ? wrongScheme : reasonAgainst(from + schemeLength + 3, end)
  if (reason != 0) {
    // No user, password or key that somebody put into a URL gets into a message.
    fail(
      ascii('CONFIG_URL_INVALID'),
      reason,
      from,
      schemeLength == 0 ? wordLength(from, length) : length,
    )
    return false
  }
  // http and ws end without s, https and wss with it.
  const isSecure = load<u8>(from + schemeLength - 1) == 0x73 && schemeLength != 2
  keepUrl(from + schemeLength, end, isSecure)
  return true
}

const wrongScheme = ascii(
  'the url must begin with http://, https://, ws:// or wss://; this one begins with %',
)

/** Bytes before the first of : / @ ? and #. */
function wordLength(from: usize, length: u32): u32 {
  let at: u32 = 0
  for (; at < length; at++) {
    const byte = <u32>load<u8>(from + at)
    if (byte == colon || byte == slash || byte == 0x40 || byte == 0x3f || byte == 0x23) break
  }
  return at
}

/** Length of a scheme that we know and that :// follows; otherwise 0. */
function schemeOf(from: usize, length: u32): u32 {
  const scheme = wordLength(from, length)
  if (scheme + 3 > length || !isText(from + scheme, 3, ascii('://'))) return 0
  // What a host gives is ours: small letters from here on.
  for (let at: u32 = 0; at < scheme; at++) store<u8>(from + at, load<u8>(from + at) | 0x20)
  return isOneOf(from, scheme, ascii('http https ws wss')) ? scheme : 0
}

/** Why what follows the scheme is no place of a server; 0 if it is one. */
function reasonAgainst(from: usize, end: usize): usize {
  let hostEnd: usize = 0
  let isAddress = false
  let authorityEnd = end
  for (let at = from; at < end; at++) {
    const byte = <u32>load<u8>(at)
    if (byte == 0x3f || byte == 0x23) return hasQuery
    if (byte <= 0x20 || byte == 0x7f || isOneOf(at, 1, forbidden)) return hasForbidden
    if (authorityEnd != end) continue
    if (byte == 0x40) return hasPassword
    if (byte == 0x5b) isAddress = true
    if (byte == 0x5d) isAddress = false
    if (byte == slash) authorityEnd = at
    if (byte == colon && !isAddress && hostEnd == 0) hostEnd = at
  }
  if (hostEnd == 0) hostEnd = authorityEnd
  if (hostEnd == from || isAddress) return noHost
  return hostEnd == authorityEnd ? 0 : reasonAgainstPort(hostEnd + 1, authorityEnd)
}

const forbidden = ascii('" < > \\ ^ ` { | }')
const hasQuery = ascii('the url must end before ? or #: keys and options do not belong in it')
const hasForbidden = ascii('the url has a space or another character that no URL may have')
const hasPassword = ascii(
  'the url must not have a user or password in it: the API key is given apart',
)
const noHost = ascii('the url % has no host: it should be like http://127.0.0.1:2900')

/** No port at all is as none in a URL. */
function reasonAgainstPort(from: usize, end: usize): usize {
  let port: u32 = 0
  for (let at = from; at < end; at++) {
    if (!isDigit(load<u8>(at)) || at - from >= 5) return wrongPort
    port = port * 10 + load<u8>(at) - 0x30
  }
  return (port == 0 && end != from) || port > 65_535 ? wrongPort : 0
}

const wrongPort = ascii('the port of the url % is not a number from 1 to 65535')

function isDigit(byte: u32): bool {
  return byte >= 0x30 && byte <= 0x39
}

const socketPath = ascii('/v1/ws')
const pathBytes: u32 = 6

/** `rest` begins with ://. */
function keepUrl(rest: usize, restEnd: usize, isSecure: bool): void {
  let end = restEnd
  while (load<u8>(end - 1) == slash) end -= 1
  clearSink()
  putText(isSecure ? ascii('wss') : ascii('ws'))
  putBytes(rest, <u32>(end - rest))
  const hasPath = end - rest > pathBytes && isText(end - pathBytes, pathBytes, socketPath)
  if (!hasPath) putText(socketPath)
  keep(url, sinkStart(), sinkLength())
}
