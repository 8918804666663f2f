"""
What programs do with psycopg2. Prints a line for each check: its name, then `ok` or what was wrong.
Arguments: where the server's figures are, then the names of the checks; without any all are run.
"""

import io
import select
import sys
import threading
import time
import traceback
import urllib.request

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import psycopg2.pool
from psycopg2 import errors, sql


def connect(**options):
    return psycopg2.connect("", **options)


def same(seen, expected):
    if seen != expected:
        raise AssertionError(f"expected {expected!r}, got {seen!r}")


def values():
    with connect() as db, db.cursor() as c:
        c.execute(
            "SELECT %s, %s, %s::numeric, %s, %s::jsonb, %s::bytea, %s",
            (1, "ünï 'q'", "12345678901234567890.5", [1, 2], psycopg2.extras.Json({"a": 1}), b"\x00\xff", None),
        )
        one, text, number, numbers, doc, data, nothing = c.fetchone()
        same([one, text, str(number), numbers, doc], [1, "ünï 'q'", "12345678901234567890.5", [1, 2], {"a": 1}])
        same(bytes(data), b"\x00\xff")
        same(nothing, None)
        same([column.name for column in c.description][:2], ["?column?", "?column?"])


def transactions():
    db = connect()
    with db, db.cursor() as c:
        c.execute("CREATE TABLE app.moved (n integer)")
    with db, db.cursor() as c:
        c.execute("INSERT INTO app.moved VALUES (1)")
        same(c.rowcount, 1)
        same(c.statusmessage, "INSERT 0 1")
    try:
        with db, db.cursor() as c:
            c.execute("INSERT INTO app.moved VALUES (2)")
            c.execute("SELECT 1/0")
    except errors.DivisionByZero as error:
        same(error.pgcode, "22012")
    same(db.get_transaction_status(), psycopg2.extensions.TRANSACTION_STATUS_IDLE)
    with db, db.cursor() as c:
        c.execute("SAVEPOINT s")
        c.execute("INSERT INTO app.moved VALUES (3)")
        c.execute("ROLLBACK TO s")
        c.execute("SELECT n FROM app.moved")
        same(c.fetchall(), [(1,)])
    db.set_session(isolation_level="SERIALIZABLE", readonly=True)
    with db, db.cursor() as c:
        try:
            c.execute("INSERT INTO app.moved VALUES (4)")
            raise AssertionError("a read-only transaction wrote")
        except errors.ReadOnlySqlTransaction:
            pass
    db.close()


def server_side_cursors():
    db = connect()
    with db, db.cursor("named") as c:
        c.itersize = 100
        c.execute("SELECT n FROM generate_series(1, 1050) n")
        same(c.fetchmany(3), [(1,), (2,), (3,)])
        same(sum(1 for _ in c), 1047)
    with db, db.cursor("scrolled", scrollable=True) as c:
        c.execute("SELECT n FROM generate_series(1, 10) n")
        c.scroll(5)
        same(c.fetchone(), (6,))
        c.scroll(-3)
        same(c.fetchone(), (4,))
    db.close()


def two_named_cursors():
    one, two = connect(), connect()
    one.autocommit = two.autocommit = True
    for db, factor in ((one, 1), (two, 10)):
        c = db.cursor("held", withhold=True)
        c.execute("SELECT n * %s FROM generate_series(1, 3) n", (factor,))
        same(c.fetchall(), [(factor,), (2 * factor,), (3 * factor,)])
        c.close()
    one.close()
    two.close()


def copying():
    db = connect()
    with db, db.cursor() as c:
        c.execute("CREATE TABLE app.copied (id integer, name text)")
        lines = "".join(f"{n},name {n}\n" for n in range(3000))
        c.copy_expert("COPY app.copied FROM STDIN WITH (FORMAT csv)", io.StringIO(lines))
        same(c.rowcount, 3000)
        out = io.StringIO()
        c.copy_expert("COPY (SELECT * FROM app.copied ORDER BY id) TO STDOUT WITH (FORMAT csv)", out)
        same(out.getvalue(), lines)
        c.execute("SET search_path = app")
        c.copy_from(io.StringIO("1\tone\n2\ttwo\n"), "todos", columns=("id", "title"))
        c.execute("SELECT id, title FROM app.todos ORDER BY id")
        same(c.fetchall(), [(1, "one"), (2, "two")])
        try:
            c.copy_expert("COPY app.copied FROM STDIN WITH (FORMAT csv)", io.StringIO("1,a\nx,b\n"))
            raise AssertionError("bad data was taken")
        except errors.InvalidTextRepresentation as error:
            assert "line 2" in str(error), str(error)
    db.close()


def notifications():
    listener, sender = connect(), connect()
    listener.autocommit = sender.autocommit = True
    listener.cursor().execute("LISTEN python")
    sender.cursor().execute("NOTIFY python, 'hello'")
    deadline = time.monotonic() + 10
    while not listener.notifies and time.monotonic() < deadline:
        select.select([listener], [], [], 1)
        listener.poll()
    (notify,) = listener.notifies
    same((notify.channel, notify.payload), ("python", "hello"))
    same(notify.pid, sender.info.backend_pid)
    listener.close()
    sender.close()


def units_so_far():
    """What clients had run, and what runs now, in the server's own figures."""
    with urllib.request.urlopen(sys.argv[1]) as page:
        (line,) = (line for line in page.read().decode().splitlines() if line.startswith("kalamdb_wire_units_total "))
    return int(line.split()[1])


def cancelling():
    db = connect()
    db.autocommit = True
    before = units_so_far()

    def cancel_when_it_runs():
        deadline = time.monotonic() + 30
        while units_so_far() == before and time.monotonic() < deadline:
            pass
        db.cancel()

    threading.Thread(target=cancel_when_it_runs).start()
    try:
        db.cursor().execute("SELECT count(*) FROM (SELECT generate_series(1, 4000000000)) n")
        raise AssertionError("it was not cancelled")
    except errors.QueryCanceled:
        pass
    c = db.cursor()
    c.execute("SELECT 'still here'")
    same(c.fetchone(), ("still here",))
    db.close()


def pools():
    pool = psycopg2.pool.ThreadedConnectionPool(1, 4, "")
    seen = []

    def work(n):
        db = pool.getconn()
        with db, db.cursor() as c:
            c.execute("SELECT %s", (n,))
            seen.append(c.fetchone()[0])
        pool.putconn(db)

    for start in range(0, 12, 4):
        threads = [threading.Thread(target=work, args=(n,)) for n in range(start, start + 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    same(sorted(seen), list(range(12)))
    pool.closeall()


def batches():
    with connect() as db, db.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as c:
        c.execute("CREATE TABLE app.batched (id serial PRIMARY KEY, name text)")
        rows = psycopg2.extras.execute_values(
            c, "INSERT INTO app.batched (name) VALUES %s RETURNING id", [(f"n{n}",) for n in range(250)], fetch=True
        )
        same(len(rows), 250)
        psycopg2.extras.execute_batch(c, "UPDATE app.batched SET name = %s WHERE id = %s", [("x", n) for n in range(1, 21)])
        c.execute(sql.SQL("SELECT count(*) AS n FROM {} WHERE name = 'x'").format(sql.Identifier("app", "batched")))
        same(dict(c.fetchone()), {"n": 20})


def settings_and_info():
    db = connect(application_name="check", options="-c search_path=app -c statement_timeout=4000")
    same(db.info.dbname, "kalamdb")
    assert db.server_version >= 150000, db.server_version
    same(db.encoding, "UTF8")
    with db, db.cursor() as c:
        for name, expected in (("application_name", "check"), ("search_path", "app"), ("statement_timeout", "4s")):
            c.execute(f"SHOW {name}")
            same(c.fetchone(), (expected,))
        c.execute("SELECT pg_backend_pid()")
        same(c.fetchone(), (db.info.backend_pid,))
    db.reset()
    db.close()


def notices():
    db = connect()
    with db, db.cursor() as c:
        c.execute("DROP TABLE IF EXISTS app.never_was")
    assert "does not exist, skipping" in db.notices[-1], db.notices
    db.close()


checks = (
    values,
    transactions,
    server_side_cursors,
    two_named_cursors,
    copying,
    notifications,
    cancelling,
    pools,
    batches,
    settings_and_info,
    notices,
)

for check in checks:
    if sys.argv[2:] and check.__name__ not in sys.argv[2:]:
        continue
    try:
        check()
        print(check.__name__, "ok", flush=True)
    except BaseException:
        print(check.__name__, traceback.format_exc().replace("\n", " | "), flush=True)
sys.exit(0)
