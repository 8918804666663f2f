/** Where to connect, as whom, and how patiently. Checked here, for every language alike. */
import { ascii } from './ascii'
import { isAmong, isOneOf, keep, Text } from './bytes'
import { fail, failOver } from './failure'
import { clearSink, putByte, putBytes, putText, sinkLength, sinkStart } from './sink'

export const url = changetype<Text>(memory.data(8))
export const key = changetype<Text>(memory.data(8))
/** A user that the key must belong to; the server checks it. */
export const userId = changetype<Text>(memory.data(8))

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

export function expectUser(from: usize, length: u32): void {
  keep(userId, from, length)
}

// ---- The key

const keyLengthWhole: u32 = 47

/** False, with a failure, if this cannot be a key. */
export function setKey(from: usize, length: u32): bool {
  if (length == 0) {
    fail(ascii('CONFIG_API_KEY_MISSING'), ascii('apiKey is missing: give an API key (kal_...)'))
    return false
  }
  if (!isKey(from, length)) {
    fail(
      ascii('CONFIG_API_KEY_INVALID'),
      ascii('apiKey is no API key: one is kal_ and 43 letters, digits, - or _'),
    )
    return false
  }
  keep(key, from, length)
  return true
}

/** 32 bytes in base64url: the last character has four bits of them. */
function isKey(from: usize, length: u32): bool {
  if (length != keyLengthWhole || !isOneOf(from, 4, ascii('kal_'))) return false
  for (let at: u32 = 4; at < length; at++) {
    const byte = <u32>load<u8>(from + at)
    const isLetter = (byte | 0x20) - 0x61 < 26
    if (!isLetter && byte - 0x30 > 9 && byte != 0x2d && byte != 0x5f) return false
  }
  return isAmong(load<u8>(from + length - 1), ascii('AEIMQUYcgkosw048'))
}

// ---- The URL

const colon: u32 = 0x3a
const slash: u32 = 0x2f

/** False, with a failure, if no server can be there. */
export function setUrl(from: usize, length: u32): bool {
  const end = from + length
  if (length == 0) {
    fail(
      ascii('CONFIG_URL_MISSING'),
      ascii('url is missing: give the URL of a server, like http://127.0.0.1:2900'),
    )
    return false
  }
  const schemeLength = schemeOf(from, length)
  const reason = schemeLength == 0 ? wrongScheme : reasonAgainst(from + schemeLength + 3, end)
  if (reason != 0) {
    // No user, password or key that somebody put into a URL gets into a message.
    const told = schemeLength == 0 ? wordLength(from, length) : length
    failOver(ascii('CONFIG_URL_INVALID'), reason, from, told)
    return false
  }
  keepUrl(from, schemeLength, end)
  return true
}

const wrongScheme = ascii('url must begin with http://, https://, ws:// or wss://, not with %')

/** Bytes before the first of : / @ ? and #. */
function wordLength(from: usize, length: u32): u32 {
  let at: u32 = 0
  while (at < length && !isAmong(load<u8>(from + at), ascii(':/@?#'))) at += 1
  return at
}

/** Length of a scheme that we know and that :// follows; otherwise 0. */
function schemeOf(from: usize, length: u32): u32 {
  const scheme = wordLength(from, length)
  if (scheme + 3 > length || !isOneOf(from + scheme, 3, ascii('://'))) return 0
  // What a host gives is ours: small letters from here on.
  for (let at: u32 = 0; at < scheme; at++) store<u8>(from + at, load<u8>(from + at) | 0x20)
  return isOneOf(from, scheme, ascii('http https ws wss')) ? scheme : 0
}

/** Why what follows the scheme is no place of a server; 0 if it is one. */
function reasonAgainst(from: usize, end: usize): usize {
  let isAuthority = true
  let isAddress = false
  let hostEnd: usize = 0
  let port: u32 = 1
  for (let at = from; at < end; at++) {
    const byte = <u32>load<u8>(at)
    if (byte == 0x3f || byte == 0x23) return hasQuery
    if (byte <= 0x20 || byte == 0x7f || isAmong(byte, ascii('"<>\\^`{|}'))) return hasForbidden
    if (byte == 0x40 && isAuthority) return hasPassword
    if (byte == slash) isAuthority = false
    if (!isAuthority) {
      if (hostEnd == 0) hostEnd = at
      continue
    }
    if (byte == 0x5b) isAddress = true
    else if (byte == 0x5d) isAddress = false
    else if (hostEnd != 0) {
      // Not told before it is known that what stands here is no password.
      port = byte - 0x30 > 9 ? 65_536 : min(port * 10 + byte - 0x30, 65_536)
    } else if (byte == colon && !isAddress) {
      hostEnd = at
      port = 0
    }
  }
  if (hostEnd == from || from == end || isAddress) return noHost
  return port == 0 || port > 65_535 ? wrongPort : 0
}

const hasQuery = ascii('url must end before ? or #: no key belongs in it')
const hasForbidden = ascii('url has a character that no URL may have')
const hasPassword = ascii('url must have no user and password: give an API key')
const noHost = ascii('url % has no host')

const wrongPort = ascii('url % has a port that is not from 1 to 65535')

/** A base path stays, for servers behind a proxy. */
function keepUrl(from: usize, schemeLength: u32, restEnd: usize): void {
  const rest = from + schemeLength
  let end = restEnd
  while (load<u8>(end - 1) == slash) end -= 1
  clearSink()
  putText(ascii('ws'))
  // https and wss; ws has two letters.
  if (schemeLength != 2 && load<u8>(rest - 1) == 0x73) putByte(0x73)
  putBytes(rest, <u32>(end - rest))
  putText(ascii('/v1/ws'))
  keep(url, sinkStart(), sinkLength())
}

/** Nothing to connect to. */
export function forgetUrl(): void {
  url.length = 0
}
