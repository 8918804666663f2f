"""
What programs do with psycopg 3 and asyncpg, the drivers that speak the protocol's binary formats.
Prints a line for each check: its name, then `ok` or what was wrong. Arguments: names of checks.
"""

import asyncio
import datetime
import decimal
import sys
import traceback
import uuid

import asyncpg
import psycopg
from psycopg.types.json import Jsonb

numeric = decimal.Decimal("12345678901234567890.5000")
day = datetime.date(2026, 1, 2)
moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc)
some_id = uuid.UUID("0189d5b0-0000-7000-8000-000000000001")
types = "%s::numeric, %s::text[], %s::bytea, %s::uuid, %s::date, %s::timestamptz, %s::int8"
sent = (numeric, ["a", 'b,"c'], b"\x00\xff", some_id, day, moment, 2**60)


def same(seen, expected):
    if seen != expected:
        raise AssertionError(f"expected {expected!r}, got {seen!r}")


def connect(**options):
    return psycopg.connect("", **options)


def psycopg_values():
    with connect() as db:
        for binary in (False, True):
            row = db.cursor(binary=binary).execute(f"SELECT {types}, %s::jsonb", (*sent, Jsonb({"a": [1]}))).fetchone()
            same(row, (*sent, {"a": [1]}))


def psycopg_transactions():
    with connect() as db:
        with db.transaction() as outer:
            db.execute("INSERT INTO app.todos (title) VALUES ('one')")
            with db.transaction() as inner:
                db.execute("DELETE FROM app.todos")
                raise psycopg.Rollback(inner)
            same(db.execute("SELECT count(*) FROM app.todos").fetchone(), (1,))
            raise psycopg.Rollback(outer)
        same(db.execute("SELECT count(*) FROM app.todos").fetchone(), (0,))


def psycopg_pipelines():
    with connect(autocommit=True) as db:
        with db.pipeline():
            one, two = db.execute("SELECT 1"), db.execute("SELECT count(*) FROM app.todos")
            same((one.fetchone(), two.fetchone()), ((1,), (0,)))
        try:
            with db.pipeline():
                db.execute("INSERT INTO app.todos (title) VALUES ('gone')")
                db.execute("SELECT 1/0")
            raise AssertionError("no error")
        except psycopg.errors.DivisionByZero:
            pass
        same(db.execute("SELECT count(*) FROM app.todos").fetchone(), (0,))
        for number in range(8):
            same(db.execute("SELECT %s::int + 1", (number,)).fetchone(), (number + 1,))


def psycopg_copies():
    with connect() as db, db.cursor() as c:
        with c.copy("COPY app.todos (title, done) FROM STDIN") as copy:
            for number in range(100):
                copy.write_row((f"t{number}", None))
        with c.copy("COPY app.todos (title, done) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["text", "bool"])
            copy.write_row(("binary", True))
        with c.copy("COPY (SELECT title FROM app.todos ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["text"])
            titles = [title for (title,) in copy.rows()]
        same((len(titles), titles[0], titles[-1]), (101, "t0", "binary"))
        db.rollback()


def psycopg_names():
    with connect() as db:
        same(psycopg.types.TypeInfo.fetch(db, "app.mood").name, "mood")
        same(psycopg.types.enum.EnumInfo.fetch(db, "app.mood").labels, ["sad", "happy"])


async def asyncpg_values():
    db = await asyncpg.connect()
    texts = types.split(", ")
    placed = ", ".join(text.replace("%s", f"${place + 1}") for place, text in enumerate(texts))
    same(tuple(await db.fetchrow(f"SELECT {placed}", *sent)), sent)
    same(await db.fetchval("SELECT ARRAY['sad', 'happy']::app.mood[]"), ["sad", "happy"])
    same((await db.fetchval("SELECT int4range(1, 5)")).upper, 5)
    await db.close()


async def asyncpg_pools():
    async def insert(pool, number):
        async with pool.acquire() as db, db.transaction():
            await db.execute("INSERT INTO app.todos (title) VALUES ($1)", f"p{number}")

    async with asyncpg.create_pool(min_size=1, max_size=4) as pool:
        await asyncio.gather(*[insert(pool, number) for number in range(20)])
        async with pool.acquire() as db, db.transaction():
            rows = [row async for row in db.cursor("SELECT title FROM app.todos", prefetch=3)]
        same(len(rows), 20)
        same(await pool.execute("DELETE FROM app.todos"), "DELETE 20")


async def asyncpg_copies():
    db = await asyncpg.connect()
    records = [(f"r{number}", True) for number in range(100)]
    async with db.transaction():
        for _ in range(2):
            copied = await db.copy_records_to_table(
                "todos", schema_name="app", columns=["title", "done"], records=records
            )
            same(copied, "COPY 100")
    same(await db.execute("DELETE FROM app.todos"), "DELETE 200")
    await db.close()


async def asyncpg_notifications():
    heard = asyncio.get_running_loop().create_future()
    listener, sender = await asyncpg.connect(), await asyncpg.connect()
    await listener.add_listener("ch", lambda _, pid, channel, payload: heard.set_result((channel, payload)))
    await sender.execute("NOTIFY ch, 'hello'")
    same(await asyncio.wait_for(heard, 5), ("ch", "hello"))
    await listener.close()
    await sender.close()


async def asyncpg_timeouts():
    db = await asyncpg.connect()
    try:
        await db.execute("SELECT count(*) FROM generate_series(1, 1000000000)", timeout=0.1)
        raise AssertionError("no timeout")
    except asyncio.TimeoutError:
        pass
    same(await db.fetchval("SELECT 1"), 1)
    await db.close()


checks = (
    *(psycopg_values, psycopg_transactions, psycopg_pipelines, psycopg_copies, psycopg_names),
    *(asyncpg_values, asyncpg_pools, asyncpg_copies, asyncpg_notifications, asyncpg_timeouts),
)

for check in checks:
    try:
        outcome = check()
        if asyncio.iscoroutine(outcome):
            asyncio.run(outcome)
        print(check.__name__, "ok")
    except Exception:
        print(check.__name__, traceback.format_exc().replace("\n", " "))
