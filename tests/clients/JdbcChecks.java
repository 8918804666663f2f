// What Java programs and tools do by JDBC. Prints a line for each check: its name, then `ok` or
// what was wrong. Run from its source: java -cp postgresql.jar JdbcChecks.java URL METRICS USER KEY ROOT KEY

import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.net.URI;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyManager;

public class JdbcChecks {
  interface Check {
    void run() throws Exception;
  }

  static String url;
  static String user;
  static String password;
  /** Where the server's figures are. */
  static String metrics;
  /** What those may do who make no tables. */
  static final List<String> asUser = List.of(
      "tables", "columns", "keysAndIndexes", "otherMetadata", "values", "preparedPastThreshold",
      "sameStatementOnTwoConnections", "generatedKeys", "fetchSize", "notifications", "cancelling",
      "updatableResults");

  public static void main(String[] args) {
    url = args[0];
    metrics = args[1];
    user = args[2];
    password = args[3];
    Map<String, Check> checks = new LinkedHashMap<>();
    checks.put("tables", JdbcChecks::tables);
    checks.put("columns", JdbcChecks::columns);
    checks.put("keysAndIndexes", JdbcChecks::keysAndIndexes);
    checks.put("otherMetadata", JdbcChecks::otherMetadata);
    checks.put("values", JdbcChecks::values);
    checks.put("preparedPastThreshold", JdbcChecks::preparedPastThreshold);
    checks.put("sameStatementOnTwoConnections", JdbcChecks::sameStatementOnTwoConnections);
    checks.put("batches", JdbcChecks::batches);
    checks.put("generatedKeys", JdbcChecks::generatedKeys);
    checks.put("transactions", JdbcChecks::transactions);
    checks.put("fetchSize", JdbcChecks::fetchSize);
    checks.put("copyApi", JdbcChecks::copyApi);
    checks.put("notifications", JdbcChecks::notifications);
    checks.put("cancelling", JdbcChecks::cancelling);
    checks.put("queryTimeout", JdbcChecks::queryTimeout);
    checks.put("errors", JdbcChecks::errors);
    checks.put("updatableResults", JdbcChecks::updatableResults);
    checks.put("savepointPerStatement", JdbcChecks::savepointPerStatement);
    for (String name : asUser) report(name + "AsUser", checks.get(name));
    user = args[4];
    password = args[5];
    checks.forEach(JdbcChecks::report);
    System.exit(0);
  }

  static void report(String name, Check check) {
    try {
      check.run();
      System.out.println(name + " ok");
    } catch (Throwable error) {
      String place = Arrays.stream(error.getStackTrace())
          .filter(frame -> frame.getClassName().startsWith("JdbcChecks"))
          .findFirst().map(Object::toString).orElse("");
      System.out.println(name + " " + (error + " " + place).replace('\n', ' '));
    }
  }

  static Connection connect(String... settings) throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("user", user);
    properties.setProperty("password", password);
    for (int i = 0; i < settings.length; i += 2) properties.setProperty(settings[i], settings[i + 1]);
    return DriverManager.getConnection(url, properties);
  }

  static void same(Object seen, Object expected) {
    if (!expected.equals(seen)) throw new AssertionError("expected " + expected + ", got " + seen);
  }

  static List<String> read(ResultSet rows, String... columns) throws SQLException {
    List<String> lines = new ArrayList<>();
    while (rows.next()) {
      List<String> cells = new ArrayList<>();
      for (String column : columns) cells.add(rows.getString(column));
      lines.add(String.join("|", cells));
    }
    rows.close();
    return lines;
  }

  static List<String> ask(Connection db, String sql) throws SQLException {
    try (Statement statement = db.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
      List<String> values = new ArrayList<>();
      while (rows.next()) values.add(rows.getString(1));
      return values;
    }
  }

  static void run(Connection db, String sql) throws SQLException {
    try (Statement statement = db.createStatement()) {
      statement.execute(sql);
    }
  }

  static void tables() throws Exception {
    try (Connection db = connect()) {
      DatabaseMetaData meta = db.getMetaData();
      String[] types = {"TABLE", "VIEW"};
      List<String> seen = read(meta.getTables(null, "app", "%", types), "TABLE_NAME", "TABLE_TYPE", "REMARKS");
      same(seen, List.of(
          "lists|TABLE|null", "prices|TABLE|what things cost", "todos|TABLE|null", "open|VIEW|null"));
      // Nothing of the system among what a tool shows of the whole database.
      for (String table : read(meta.getTables(null, null, "%", types), "TABLE_SCHEM"))
        if (table.startsWith("kalam")) throw new AssertionError("a table of " + table);
      same(read(meta.getCatalogs(), "TABLE_CAT").contains("kalamdb"), true);
      List<String> schemas = read(meta.getSchemas(), "TABLE_SCHEM");
      same(schemas.contains("app"), true);
      for (String schema : schemas) if (schema.startsWith("kalam")) throw new AssertionError(schema);
    }
  }

  static void columns() throws Exception {
    try (Connection db = connect()) {
      List<String> seen = read(
          db.getMetaData().getColumns(null, "app", "todos", "%"),
          "COLUMN_NAME", "TYPE_NAME", "IS_NULLABLE", "IS_AUTOINCREMENT");
      same(seen.subList(0, 4), List.of(
          "id|int4|NO|YES", "title|text|NO|NO", "list_id|int4|YES|NO", "at|timestamptz|YES|NO"));
      List<String> own = seen.subList(4, seen.size());
      for (String column : own)
        if (!column.startsWith("_user_id|text|") && !column.startsWith("_deleted|bool|"))
          throw new AssertionError("unexpected column " + column);
    }
  }

  static void keysAndIndexes() throws Exception {
    try (Connection db = connect()) {
      DatabaseMetaData meta = db.getMetaData();
      List<String> key = read(meta.getPrimaryKeys(null, "app", "prices"), "COLUMN_NAME", "PK_NAME");
      same(key, List.of("name|prices_pkey"));
      // As they were written, without the _user_id that stands in front.
      List<String> own = read(meta.getPrimaryKeys(null, "app", "todos"), "COLUMN_NAME", "KEY_SEQ");
      same(own, List.of("id|1"));
      List<String> imported = read(
          meta.getImportedKeys(null, "app", "todos"), "PKTABLE_NAME", "PKCOLUMN_NAME", "FKCOLUMN_NAME", "KEY_SEQ");
      same(imported, List.of("lists|id|list_id|1"));
      same(read(meta.getExportedKeys(null, "app", "lists"), "FKTABLE_NAME").contains("todos"), true);
      List<String> indexes = read(
          meta.getIndexInfo(null, "app", "prices", false, true), "INDEX_NAME", "COLUMN_NAME", "NON_UNIQUE");
      same(indexes, List.of("prices_pkey|name|f", "prices_price|price|t"));
      List<String> ofUsers = read(
          meta.getIndexInfo(null, "app", "todos", false, true), "INDEX_NAME", "COLUMN_NAME", "ORDINAL_POSITION");
      same(ofUsers, List.of("todos_pkey|id|1", "todos_title|lower(title)|1", "todos_title|at|2"));
    }
  }

  static void otherMetadata() throws Exception {
    try (Connection db = connect()) {
      DatabaseMetaData meta = db.getMetaData();
      same(meta.getDatabaseProductName(), "PostgreSQL");
      same(meta.getUserName(), user);
      same(meta.getDatabaseMajorVersion() >= 15, true);
      same(read(meta.getTypeInfo(), "TYPE_NAME").contains("jsonb"), true);
      same(read(meta.getFunctions(null, "app", "%"), "FUNCTION_NAME"), List.of("twice"));
      same(read(meta.getProcedures(null, "app", "%"), "PROCEDURE_NAME"), List.of());
      same(read(meta.getFunctionColumns(null, "app", "twice", "%"), "COLUMN_NAME").contains("n"), true);
      read(meta.getTablePrivileges(null, "app", "prices"), "GRANTEE");
      read(meta.getColumnPrivileges(null, "app", "prices", "%"), "GRANTEE");
      read(meta.getBestRowIdentifier(null, "app", "prices", DatabaseMetaData.bestRowSession, true), "COLUMN_NAME");
      read(meta.getUDTs(null, "app", "%", null), "TYPE_NAME");
      read(meta.getCrossReference(null, "app", "lists", null, "app", "todos"), "FK_NAME");
      read(meta.getClientInfoProperties(), "NAME");
      read(meta.getTableTypes(), "TABLE_TYPE");
      meta.getSQLKeywords();
      meta.getMaxColumnNameLength();
      db.setClientInfo("ApplicationName", "checks");
      same(ask(db, "SHOW application_name"), List.of("checks"));
      db.setSchema("app");
      same(db.getSchema(), "app");
      same(db.isValid(5), true);
    }
  }

  static void values() throws Exception {
    // The seventh execution is in the binary format.
    try (Connection db = connect();
        PreparedStatement statement = db.prepareStatement(
            "SELECT ?::int, ?::bigint, ?::numeric, ?::boolean, ?::text, ?::timestamptz, ?::bytea, ?::text[], ?::float8, ?::date")) {
      Timestamp at = Timestamp.from(Instant.parse("2026-01-02T03:04:05.678Z"));
      byte[] bytes = {0, -1, 10};
      for (int round = 0; round < 8; round += 1) {
        statement.setInt(1, round);
        statement.setLong(2, Long.MAX_VALUE);
        statement.setBigDecimal(3, new java.math.BigDecimal("12345678901234567890.5"));
        statement.setBoolean(4, true);
        statement.setString(5, "ünï");
        statement.setTimestamp(6, at);
        statement.setBytes(7, bytes);
        statement.setArray(8, db.createArrayOf("text", new String[] {"a", null, "b\"c"}));
        statement.setDouble(9, 1.5);
        statement.setNull(10, Types.DATE);
        try (ResultSet row = statement.executeQuery()) {
          row.next();
          same(row.getInt(1), round);
          same(row.getLong(2), Long.MAX_VALUE);
          same(row.getBigDecimal(3).toPlainString(), "12345678901234567890.5");
          same(row.getBoolean(4), true);
          same(row.getString(5), "ünï");
          same(row.getTimestamp(6), at);
          same(Arrays.equals(row.getBytes(7), bytes), true);
          Array array = row.getArray(8);
          same(Arrays.asList((Object[]) array.getArray()), Arrays.asList("a", null, "b\"c"));
          same(row.getDouble(9), 1.5);
          same(row.getDate(10) == null, true);
        }
      }
    }
  }

  static void preparedPastThreshold() throws Exception {
    try (Connection db = connect("prepareThreshold", "3");
        PreparedStatement statement = db.prepareStatement("SELECT ? + 1")) {
      for (int n = 0; n < 10; n += 1) {
        statement.setInt(1, n);
        try (ResultSet row = statement.executeQuery()) {
          row.next();
          same(row.getInt(1), n + 1);
        }
      }
      same(statement.unwrap(PGStatement.class).isUseServerPrepare(), true);
      run(db, "DISCARD ALL");
      // The driver prepares anew after the server has forgotten.
      statement.setInt(1, 41);
      try (ResultSet row = statement.executeQuery()) {
        row.next();
        same(row.getInt(1), 42);
      }
    }
  }

  static void sameStatementOnTwoConnections() throws Exception {
    try (Connection one = connect("prepareThreshold", "1"); Connection two = connect("prepareThreshold", "1")) {
      PreparedStatement first = one.prepareStatement("SELECT 'one'");
      PreparedStatement second = two.prepareStatement("SELECT 2");
      for (int n = 0; n < 5; n += 1) {
        try (ResultSet row = first.executeQuery()) {
          row.next();
          same(row.getString(1), "one");
        }
        try (ResultSet row = second.executeQuery()) {
          row.next();
          same(row.getInt(1), 2);
        }
      }
    }
  }

  static void batches() throws Exception {
    try (Connection db = connect()) {
      run(db, "CREATE TABLE app.batched (id integer PRIMARY KEY, name text)");
      db.setAutoCommit(false);
      try (PreparedStatement insert = db.prepareStatement("INSERT INTO app.batched VALUES (?, ?)")) {
        for (int n = 0; n < 300; n += 1) {
          insert.setInt(1, n);
          insert.setString(2, "name " + n);
          insert.addBatch();
        }
        same(insert.executeBatch().length, 300);
      }
      db.commit();
      same(ask(db, "SELECT count(*) FROM app.batched"), List.of("300"));
      db.commit();
      db.setAutoCommit(true);
      try (Statement statement = db.createStatement()) {
        statement.addBatch("INSERT INTO app.batched VALUES (1000, 'x')");
        statement.addBatch("INSERT INTO app.batched VALUES (1, 'there already')");
        statement.executeBatch();
        throw new AssertionError("no error");
      } catch (BatchUpdateException error) {
        same(error.getSQLState(), "23505");
      }
    }
    try (Connection db = connect("reWriteBatchedInserts", "true");
        PreparedStatement insert = db.prepareStatement("INSERT INTO app.batched VALUES (?, ?)")) {
      for (int n = 2000; n < 2100; n += 1) {
        insert.setInt(1, n);
        insert.setString(2, "many");
        insert.addBatch();
      }
      insert.executeBatch();
      same(ask(db, "SELECT count(*) FROM app.batched WHERE name = 'many'"), List.of("100"));
    }
  }

  static void generatedKeys() throws Exception {
    try (Connection db = connect()) {
      String sql = "INSERT INTO app.todos (title) VALUES (?)";
      try (PreparedStatement insert = db.prepareStatement(sql, new String[] {"id"})) {
        List<Integer> ids = new ArrayList<>();
        for (int n = 1; n <= 3; n += 1) {
          insert.setString(1, "task " + n);
          same(insert.executeUpdate(), 1);
          try (ResultSet keys = insert.getGeneratedKeys()) {
            keys.next();
            ids.add(keys.getInt("id"));
          }
        }
        same(ids, List.of(ids.get(0), ids.get(0) + 1, ids.get(0) + 2));
      }
      try (PreparedStatement insert = db.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
        insert.setString(1, "all columns");
        insert.executeUpdate();
        try (ResultSet keys = insert.getGeneratedKeys()) {
          keys.next();
          same(keys.getString("title"), "all columns");
        }
      }
      try (Statement statement = db.createStatement()) {
        same(statement.executeUpdate("DELETE FROM app.todos"), 4);
      }
    }
  }

  static void transactions() throws Exception {
    try (Connection db = connect()) {
      run(db, "CREATE TABLE app.moved (n integer)");
      db.setAutoCommit(false);
      db.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      run(db, "INSERT INTO app.moved VALUES (1)");
      Savepoint savepoint = db.setSavepoint("mine");
      run(db, "INSERT INTO app.moved VALUES (2)");
      db.rollback(savepoint);
      db.commit();
      run(db, "INSERT INTO app.moved VALUES (3)");
      db.rollback();
      same(ask(db, "SELECT n FROM app.moved"), List.of("1"));
      db.commit();
      db.setReadOnly(true);
      try {
        run(db, "INSERT INTO app.moved VALUES (4)");
        throw new AssertionError("a read-only transaction wrote");
      } catch (SQLException error) {
        same(error.getSQLState(), "25006");
      }
      db.rollback();
    }
  }

  static void fetchSize() throws Exception {
    try (Connection db = connect()) {
      db.setAutoCommit(false);
      try (Statement statement = db.createStatement()) {
        statement.setFetchSize(50);
        int count = 0;
        try (ResultSet rows = statement.executeQuery("SELECT n FROM generate_series(1, 1030) n")) {
          while (rows.next()) count += 1;
        }
        same(count, 1030);
        statement.setFetchSize(0);
        statement.setMaxRows(7);
        try (ResultSet rows = statement.executeQuery("SELECT n FROM generate_series(1, 100) n")) {
          for (count = 0; rows.next(); count += 1) {}
        }
        same(count, 7);
      }
      db.commit();
    }
  }

  static void copyApi() throws Exception {
    try (Connection db = connect()) {
      run(db, "CREATE TABLE app.copied (id integer, name text)");
      CopyManager copies = db.unwrap(PGConnection.class).getCopyAPI();
      StringBuilder lines = new StringBuilder();
      for (int n = 0; n < 2000; n += 1) lines.append(n).append("\tname ").append(n).append('\n');
      same(copies.copyIn("COPY app.copied FROM STDIN", new StringReader(lines.toString())), 2000L);
      StringWriter out = new StringWriter();
      copies.copyOut("COPY (SELECT * FROM app.copied ORDER BY id) TO STDOUT", out);
      same(out.toString().equals(lines.toString()), true);
      same(copies.copyIn("COPY app.todos (id, title) FROM STDIN CSV", new StringReader("71,a\n72,b\n")), 2L);
      ByteArrayOutputStream binary = new ByteArrayOutputStream();
      copies.copyOut("COPY app.copied TO STDOUT (FORMAT binary)", binary);
      same(new String(binary.toByteArray(), 0, 6, "ISO-8859-1"), "PGCOPY");
      run(db, "DELETE FROM app.todos");
    }
  }

  static void notifications() throws Exception {
    try (Connection listener = connect(); Connection sender = connect()) {
      run(listener, "LISTEN java");
      run(sender, "NOTIFY java, 'hello'");
      PGNotification[] notes = listener.unwrap(PGConnection.class).getNotifications(10_000);
      same(notes.length, 1);
      same(notes[0].getParameter(), "hello");
      same(notes[0].getPID(), sender.unwrap(PGConnection.class).getBackendPID());
    }
  }

  static final String endless = "SELECT count(*) FROM (SELECT generate_series(1, 4000000000)) n";

  /** What clients had run, and what runs now, in the server's own figures. */
  static long unitsSoFar() throws Exception {
    String name = "kalamdb_wire_units_total ";
    try (InputStream page = URI.create(metrics).toURL().openStream()) {
      return new String(page.readAllBytes(), "UTF-8").lines()
          .filter(line -> line.startsWith(name)).findFirst()
          .map(line -> Long.parseLong(line.substring(name.length()))).orElseThrow();
    }
  }

  static void waitForUnitAfter(long units) throws Exception {
    Instant deadline = Instant.now().plusSeconds(30);
    while (unitsSoFar() == units)
      if (Instant.now().isAfter(deadline)) throw new AssertionError("the statement did not arrive");
  }

  static void cancelling() throws Exception {
    try (Connection db = connect(); Statement statement = db.createStatement()) {
      long unitsBefore = unitsSoFar();
      Thread canceller = new Thread(() -> {
        try {
          waitForUnitAfter(unitsBefore);
          statement.cancel();
        } catch (Exception error) {
          throw new RuntimeException(error);
        }
      });
      canceller.start();
      try {
        statement.executeQuery(endless);
        throw new AssertionError("it was not cancelled");
      } catch (SQLException error) {
        same(error.getSQLState(), "57014");
      }
      canceller.join();
      same(ask(db, "SELECT 'still here'"), List.of("still here"));
    }
  }

  static void queryTimeout() throws Exception {
    try (Connection db = connect(); Statement statement = db.createStatement()) {
      statement.setQueryTimeout(1);
      try {
        statement.executeQuery(endless);
        throw new AssertionError("it did not end");
      } catch (SQLException error) {
        same(error.getSQLState(), "57014");
      }
      same(ask(db, "SELECT 'still here'"), List.of("still here"));
    }
  }

  static void errors() throws Exception {
    try (Connection db = connect()) {
      try {
        run(db, "SELECT\n nothing FROM app.prices");
        throw new AssertionError("no error");
      } catch (org.postgresql.util.PSQLException error) {
        same(error.getSQLState(), "42703");
        same(error.getServerErrorMessage().getPosition(), 9);
      }
      run(db, "INSERT INTO app.prices VALUES ('twice', 1)");
      try {
        run(db, "INSERT INTO app.prices VALUES ('twice', 1)");
        throw new AssertionError("no error");
      } catch (org.postgresql.util.PSQLException error) {
        same(error.getServerErrorMessage().getConstraint(), "prices_pkey");
        same(error.getServerErrorMessage().getTable(), "prices");
        same(error.getServerErrorMessage().getSchema(), "app");
      }
    }
  }

  static void updatableResults() throws Exception {
    try (Connection db = connect();
        Statement statement = db.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
      run(db, "INSERT INTO app.lists VALUES (1, 'a'), (2, 'b')");
      try (ResultSet rows = statement.executeQuery("SELECT id, name FROM app.lists ORDER BY id")) {
        rows.last();
        rows.updateString("name", "changed");
        rows.updateRow();
        rows.first();
        rows.deleteRow();
      }
      same(ask(db, "SELECT name FROM app.lists"), List.of("changed"));
    }
  }

  static void savepointPerStatement() throws Exception {
    try (Connection db = connect("autosave", "always")) {
      db.setAutoCommit(false);
      run(db, "CREATE TABLE app.saved (n integer)");
      try {
        run(db, "SELECT nothing");
        throw new AssertionError("no error");
      } catch (SQLException error) {
        same(error.getSQLState(), "42703");
      }
      run(db, "INSERT INTO app.saved VALUES (1)");
      db.commit();
      same(ask(db, "SELECT n FROM app.saved"), List.of("1"));
      db.commit();
    }
  }
}
