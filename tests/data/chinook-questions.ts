/**
 * Twenty questions that an analyst would ask of the Chinook music shop. Each combines at least
 * three of the features below, has one total order, and keeps to what PostgreSQL 15 knows. Of whole
 * rows, `_deleted` is taken off: managed tables have it.
 */
export type Feature =
  | 'join'
  | 'window'
  | 'cte'
  | 'recursive cte'
  | 'json'
  | 'full text'
  | 'set operation'
  | 'date arithmetic'
  | 'lateral'

export interface Question {
  readonly title: string
  readonly uses: readonly Feature[]
  readonly sql: string
}

export const chinookQuestions: readonly Question[] = [
  {
    title: 'Who are the three best customers of each country, and what share of it do they bring?',
    uses: ['join', 'window', 'cte'],
    sql: `
      WITH spent AS (
        SELECT c.country, c.customer_id, c.first_name || ' ' || c.last_name AS customer,
               sum(i.total) AS total
        FROM customer c JOIN invoice i USING (customer_id)
        GROUP BY c.country, c.customer_id
      ), ranked AS (
        SELECT *, dense_rank() OVER w AS place,
               round(100 * total / sum(total) OVER (PARTITION BY country), 2) AS percent
        FROM spent WINDOW w AS (PARTITION BY country ORDER BY total DESC)
      )
      SELECT country, place, customer, total, percent
      FROM ranked WHERE place <= 3
      ORDER BY country, place, customer_id`,
  },
  {
    title: 'How do sales grow from month to month, with empty months and a moving average?',
    uses: ['join', 'window', 'cte', 'date arithmetic'],
    sql: `
      WITH bounds AS (
        SELECT date_trunc('month', min(invoice_date)) AS first,
               date_trunc('month', max(invoice_date)) AS last
        FROM invoice
      ), months AS (
        SELECT generate_series(first, last, interval '1 month') AS month FROM bounds
      ), sales AS (
        SELECT m.month::date AS month, coalesce(sum(i.total), 0) AS total, count(i.*) AS invoices
        FROM months m
        LEFT JOIN invoice i
          ON i.invoice_date >= m.month AND i.invoice_date < m.month + interval '1 month'
        GROUP BY m.month
      )
      SELECT month, total, invoices,
             total - lag(total) OVER (ORDER BY month) AS change,
             round(avg(total) OVER (ORDER BY month ROWS 2 PRECEDING), 4) AS quarter_average,
             sum(total) OVER (PARTITION BY extract(year FROM month) ORDER BY month) AS year_so_far
      FROM sales ORDER BY month`,
  },
  {
    title: 'Who reports to whom, and what did each manager’s whole line sell?',
    uses: ['join', 'recursive cte', 'window', 'json'],
    sql: `
      WITH RECURSIVE line AS (
        SELECT employee_id AS boss, employee_id AS member, 0 AS depth, ARRAY[employee_id] AS path
        FROM employee
        UNION ALL
        SELECT l.boss, e.employee_id, l.depth + 1, l.path || e.employee_id
        FROM line l JOIN employee e ON e.reports_to = l.member
      ), sold AS (
        SELECT c.support_rep_id AS employee_id, sum(i.total) AS total
        FROM customer c JOIN invoice i USING (customer_id) GROUP BY 1
      )
      SELECT b.employee_id, b.last_name, b.title,
             max(l.depth) AS levels_below,
             count(*) - 1 AS people_below,
             coalesce(sum(s.total), 0) AS sold_by_line,
             rank() OVER (ORDER BY coalesce(sum(s.total), 0) DESC) AS place,
             jsonb_agg(jsonb_build_object('id', l.member, 'path', l.path) ORDER BY l.path) AS line
      FROM line l
      JOIN employee b ON b.employee_id = l.boss
      LEFT JOIN sold s ON s.employee_id = l.member
      GROUP BY b.employee_id, b.last_name, b.title
      ORDER BY b.employee_id`,
  },
  {
    title: 'What did each customer buy last, and how long before had they bought anything?',
    uses: ['join', 'lateral', 'window', 'date arithmetic'],
    sql: `
      SELECT c.customer_id, c.last_name, latest.invoice_id, latest.invoice_date,
             latest.invoice_date - latest.before AS pause, items.tracks, items.genres
      FROM customer c
      CROSS JOIN LATERAL (
        SELECT invoice_id, invoice_date,
               lag(invoice_date) OVER (ORDER BY invoice_date, invoice_id) AS before
        FROM invoice i WHERE i.customer_id = c.customer_id
        ORDER BY invoice_date DESC, invoice_id DESC LIMIT 1
      ) latest
      CROSS JOIN LATERAL (
        SELECT count(*) AS tracks, array_agg(DISTINCT g.name ORDER BY g.name) AS genres
        FROM invoice_line l JOIN track t USING (track_id) JOIN genre g USING (genre_id)
        WHERE l.invoice_id = latest.invoice_id
      ) items
      ORDER BY latest.invoice_date DESC, c.customer_id`,
  },
  {
    title: 'Which tracks speak of love or fire, and how well did they sell?',
    uses: ['full text', 'join', 'lateral', 'window'],
    sql: `
      SELECT t.track_id, t.name, a.title AS album, found.lexemes,
             round(ts_rank(found.words, asked.query)::numeric, 4) AS rank,
             count(l.*) AS sold,
             row_number() OVER (
               ORDER BY count(l.*) DESC, round(ts_rank(found.words, asked.query)::numeric, 4) DESC,
                        t.track_id) AS place
      FROM (SELECT to_tsquery('english', 'loving | fires')) AS asked(query)
      CROSS JOIN track t
      CROSS JOIN LATERAL (
        SELECT to_tsvector('english', t.name) AS words,
               tsvector_to_array(to_tsvector('english', t.name)) AS lexemes
      ) found
      LEFT JOIN album a USING (album_id)
      LEFT JOIN invoice_line l USING (track_id)
      WHERE found.words @@ asked.query
      GROUP BY t.track_id, a.title, found.words, found.lexemes, asked.query
      ORDER BY place`,
  },
  {
    title: 'Give one JSON document per artist of the Metal shelf: albums, tracks, minutes.',
    uses: ['json', 'lateral', 'join', 'cte'],
    sql: `
      WITH metal AS (
        SELECT DISTINCT al.artist_id FROM track t JOIN album al USING (album_id)
        JOIN genre g USING (genre_id) WHERE g.name LIKE '%Metal'
      )
      SELECT ar.artist_id, jsonb_build_object(
               'artist', ar.name,
               'albums', shelf.albums,
               'minutes', shelf.minutes) AS document
      FROM metal JOIN artist ar USING (artist_id)
      CROSS JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('title', al.title, 'tracks', songs.titles)
                         ORDER BY al.title) AS albums,
               round(sum(songs.ms) / 60000.0, 2) AS minutes
        FROM album al
        CROSS JOIN LATERAL (
          SELECT json_agg(t.name ORDER BY t.track_id) AS titles, sum(t.milliseconds) AS ms
          FROM track t WHERE t.album_id = al.album_id
        ) songs
        WHERE al.artist_id = ar.artist_id
      ) shelf
      ORDER BY ar.artist_id`,
  },
  {
    title: 'Which customers bought both Jazz and Rock, but never Latin?',
    uses: ['set operation', 'join', 'cte', 'json'],
    sql: `
      WITH bought AS (
        SELECT DISTINCT i.customer_id, g.name AS genre
        FROM invoice i JOIN invoice_line USING (invoice_id)
        JOIN track USING (track_id) JOIN genre g USING (genre_id)
      ), wanted AS (
        (SELECT customer_id FROM bought WHERE genre = 'Jazz'
         INTERSECT SELECT customer_id FROM bought WHERE genre = 'Rock')
        EXCEPT SELECT customer_id FROM bought WHERE genre = 'Latin'
      )
      SELECT c.customer_id, c.email,
             (SELECT json_object_agg(b.genre, true ORDER BY b.genre)
              FROM bought b WHERE b.customer_id = c.customer_id) AS genres
      FROM wanted JOIN customer c USING (customer_id)
      ORDER BY c.customer_id`,
  },
  {
    title: 'How do yearly cohorts of new customers keep buying in the years after?',
    uses: ['cte', 'join', 'window', 'date arithmetic'],
    sql: `
      WITH first AS (
        SELECT customer_id, min(invoice_date) AS since FROM invoice GROUP BY customer_id
      ), active AS (
        SELECT DISTINCT f.customer_id, extract(year FROM f.since)::int AS cohort,
               (extract(year FROM age(i.invoice_date, date_trunc('year', f.since))))::int AS year
        FROM first f JOIN invoice i USING (customer_id)
      )
      SELECT cohort, year, count(*) AS customers,
             first_value(count(*)) OVER w AS at_start,
             round(count(*)::numeric / first_value(count(*)) OVER w, 3) AS kept,
             count(*)::float8 / sum(count(*)) OVER () AS weight
      FROM active GROUP BY cohort, year
      WINDOW w AS (PARTITION BY cohort ORDER BY year)
      ORDER BY cohort, year`,
  },
  {
    title: 'Which two genres land in one basket most often?',
    uses: ['cte', 'join', 'window', 'json'],
    sql: `
      WITH basket AS (
        SELECT DISTINCT l.invoice_id, t.genre_id
        FROM invoice_line l JOIN track t USING (track_id)
      ), pairs AS (
        SELECT a.genre_id AS one, b.genre_id AS other, count(*) AS baskets
        FROM basket a JOIN basket b ON a.invoice_id = b.invoice_id AND a.genre_id < b.genre_id
        GROUP BY 1, 2
      )
      SELECT jsonb_build_array(x.name, y.name) AS pair, p.baskets,
             rank() OVER (ORDER BY p.baskets DESC) AS place,
             cume_dist() OVER (ORDER BY p.baskets) AS cumulative
      FROM pairs p JOIN genre x ON x.genre_id = p.one JOIN genre y ON y.genre_id = p.other
      ORDER BY p.baskets DESC, p.one, p.other LIMIT 25`,
  },
  {
    title: 'Which weekday and quarter sell best, with subtotals?',
    uses: ['join', 'window', 'date arithmetic'],
    sql: `
      SELECT extract(isodow FROM i.invoice_date)::int2 AS weekday,
             to_char(i.invoice_date, 'FMDay') AS name,
             'Q' || extract(quarter FROM i.invoice_date) AS quarter,
             grouping(extract(isodow FROM i.invoice_date)::int2,
                      'Q' || extract(quarter FROM i.invoice_date)) AS level,
             sum(l.unit_price * l.quantity) AS total,
             rank() OVER (PARTITION BY grouping(extract(isodow FROM i.invoice_date)::int2,
                            'Q' || extract(quarter FROM i.invoice_date))
                          ORDER BY sum(l.unit_price * l.quantity) DESC) AS place,
             max(i.invoice_date + interval '30 days') AT TIME ZONE 'UTC' AS last_due
      FROM invoice i JOIN invoice_line l USING (invoice_id)
      GROUP BY CUBE (
        (extract(isodow FROM i.invoice_date)::int2, to_char(i.invoice_date, 'FMDay')),
        ('Q' || extract(quarter FROM i.invoice_date)))
      ORDER BY level, weekday NULLS LAST, quarter NULLS LAST`,
  },
  {
    title: 'Which tracks were never sold, by genre, and what would they weigh?',
    uses: ['set operation', 'cte', 'join', 'json'],
    sql: `
      WITH unsold AS (
        SELECT track_id FROM track EXCEPT SELECT track_id FROM invoice_line
      )
      SELECT g.name AS genre, count(*) AS tracks, sum(t.bytes::bigint) AS bytes,
             pg_size_pretty(sum(t.bytes::bigint)) AS size,
             percentile_cont(0.5) WITHIN GROUP (ORDER BY t.milliseconds) AS median_ms,
             percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY t.milliseconds) AS range_ms,
             (jsonb_agg(to_jsonb(t) - '{composer,_deleted}'::text[] ORDER BY t.milliseconds DESC, t.track_id)) -> 0 AS longest
      FROM unsold JOIN track t USING (track_id) LEFT JOIN genre g USING (genre_id)
      GROUP BY g.genre_id, g.name ORDER BY g.name NULLS LAST`,
  },
  {
    title: 'Which composers work together, and who is how many steps from Steve Harris?',
    uses: ['recursive cte', 'lateral', 'join', 'set operation'],
    sql: `
      WITH RECURSIVE credit AS (
        SELECT DISTINCT t.track_id, trim(part.name) AS composer
        FROM track t CROSS JOIN LATERAL regexp_split_to_table(t.composer, '[,/;&]') AS part(name)
        WHERE t.composer IS NOT NULL AND trim(part.name) <> ''
      ), pair AS (
        SELECT DISTINCT a.composer, b.composer AS other
        FROM credit a JOIN credit b ON a.track_id = b.track_id AND a.composer <> b.composer
      ), reach AS (
        SELECT 'Steve Harris'::text AS composer, 0 AS steps
        UNION
        SELECT p.other, r.steps + 1
        FROM reach r JOIN pair p ON p.composer = r.composer WHERE r.steps < 3
      )
      SELECT composer, min(steps) AS steps,
             (SELECT count(*) FROM credit c WHERE c.composer = r.composer) AS tracks
      FROM reach r GROUP BY composer ORDER BY 2, 1`,
  },
  {
    title: 'How does each support agent do year by year, against the agents’ average?',
    uses: ['join', 'cte', 'window', 'json', 'date arithmetic'],
    sql: `
      WITH yearly AS (
        SELECT e.employee_id, e.first_name, date_part('year', i.invoice_date)::int AS year,
               sum(i.total) AS total, count(DISTINCT c.customer_id) AS customers
        FROM employee e JOIN customer c ON c.support_rep_id = e.employee_id
        JOIN invoice i USING (customer_id)
        GROUP BY 1, 2, 3
      )
      SELECT employee_id, first_name,
             jsonb_object_agg(year, to_jsonb(total) ORDER BY year) AS by_year,
             jsonb_path_query_array(
               jsonb_agg(jsonb_build_object('y', year, 't', total) ORDER BY year),
               '$[*] ? (@.t > 150).y') AS good_years,
             max(total) FILTER (WHERE year = 2025) AS latest,
             sum(sum(total)) OVER () - sum(total) AS by_others,
             age(timestamp '2026-01-01', make_timestamp(min(year), 1, 1, 0, 0, 0)) AS period
      FROM yearly GROUP BY employee_id, first_name ORDER BY employee_id`,
  },
  {
    title: 'What are the longest runs of months in which a country bought something?',
    uses: ['cte', 'window', 'date arithmetic', 'join'],
    sql: `
      WITH months AS (
        SELECT DISTINCT c.country, date_trunc('month', i.invoice_date)::date AS month
        FROM invoice i JOIN customer c USING (customer_id)
      ), islands AS (
        SELECT country, month,
               (month - (row_number() OVER (PARTITION BY country ORDER BY month)
                         * interval '1 month'))::date AS island
        FROM months
      )
      SELECT country, min(month) AS first, max(month) AS last, count(*) AS months,
             daterange(min(month), (max(month) + interval '1 month')::date) AS span,
             max(month) - min(month) AS days
      FROM islands GROUP BY country, island HAVING count(*) >= 3
      ORDER BY months DESC, country, first`,
  },
  {
    title: 'Which playlists share the most tracks, and which tracks only one of the two has?',
    uses: ['cte', 'join', 'set operation', 'lateral'],
    sql: `
      WITH overlap AS (
        SELECT a.playlist_id AS one, b.playlist_id AS other, count(*) AS shared
        FROM playlist_track a
        JOIN playlist_track b ON a.track_id = b.track_id AND a.playlist_id < b.playlist_id
        GROUP BY 1, 2
      )
      SELECT x.name AS one, y.name AS other, o.shared, rest.only_one, rest.first_ids
      FROM overlap o JOIN playlist x ON x.playlist_id = o.one
      JOIN playlist y ON y.playlist_id = o.other
      CROSS JOIN LATERAL (
        SELECT count(*) AS only_one,
               (array_agg(d.track_id ORDER BY d.track_id))[1:5] AS first_ids
        FROM (
          SELECT track_id FROM playlist_track WHERE playlist_id IN (o.one, o.other)
          EXCEPT
          (SELECT track_id FROM playlist_track WHERE playlist_id = o.one
           INTERSECT SELECT track_id FROM playlist_track WHERE playlist_id = o.other)
        ) d
      ) rest
      ORDER BY o.shared DESC, o.one, o.other LIMIT 20`,
  },
  {
    title: 'Search tracks, albums and artists at once, the best hits of each first.',
    uses: ['full text', 'set operation', 'window', 'cte', 'join'],
    sql: `
      WITH words AS (
        SELECT 'track' AS kind, t.track_id AS id, t.name AS text FROM track t
        UNION ALL SELECT 'album', album_id, title FROM album
        UNION ALL SELECT 'artist', artist_id, name FROM artist
      ), hits AS (
        SELECT w.*, ts_rank_cd(to_tsvector('simple', text), query) AS rank,
               ts_headline('simple', text, query, 'StartSel=<, StopSel=>') AS marked
        FROM words w JOIN websearch_to_tsquery('simple', 'black or "iron maiden" -sabbath') AS query
          ON to_tsvector('simple', text) @@ query
      ), placed AS (
        SELECT *, row_number() OVER (PARTITION BY kind ORDER BY rank DESC, id) AS place FROM hits
      )
      SELECT kind, place, id, marked FROM placed WHERE place <= 8 ORDER BY kind, place`,
  },
  {
    title: 'Which invoices do not add up, or are unusual for their customer?',
    uses: ['join', 'window', 'cte', 'lateral'],
    sql: `
      WITH checked AS (
        SELECT i.invoice_id, i.customer_id, i.total, lines.total AS lines_total,
               i.total <> lines.total AS wrong,
               avg(i.total) OVER w AS mean, ntile(4) OVER (w ORDER BY i.total, i.invoice_id) AS quartile,
               last_value(i.invoice_id) OVER (w ORDER BY i.total, i.invoice_id
                 ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS largest
        FROM invoice i
        CROSS JOIN LATERAL (
          SELECT sum(l.unit_price * l.quantity) AS total FROM invoice_line l
          WHERE l.invoice_id = i.invoice_id
        ) lines
        WINDOW w AS (PARTITION BY i.customer_id)
      )
      SELECT c.last_name, k.invoice_id, k.total, round(k.mean, 6) AS mean, k.quartile, k.wrong,
             k.invoice_id = k.largest AS is_largest, k.lines_total
      FROM checked k JOIN customer c USING (customer_id)
      WHERE k.wrong OR k.total > 2.5 * k.mean
      ORDER BY k.total DESC, k.invoice_id`,
  },
  {
    title: 'When will each customer buy again, going by the pauses between their purchases?',
    uses: ['cte', 'window', 'join', 'date arithmetic', 'json'],
    sql: `
      WITH pauses AS (
        SELECT customer_id, invoice_date,
               invoice_date - lag(invoice_date) OVER (PARTITION BY customer_id ORDER BY invoice_date)
                 AS pause
        FROM invoice
      ), pace AS (
        SELECT customer_id, max(invoice_date) AS latest, avg(pause) AS average,
               json_agg(extract(day FROM pause)::int ORDER BY invoice_date)
                 FILTER (WHERE pause IS NOT NULL) AS days
        FROM pauses GROUP BY customer_id
      )
      SELECT c.customer_id, c.first_name, p.latest, p.average, p.days,
             date_trunc('day', p.latest + p.average)::date AS expected,
             (p.latest + p.average) AT TIME ZONE 'America/New_York' AS expected_at,
             justify_interval(p.average) AS pace,
             (p.latest, p.latest + p.average) OVERLAPS
               (timestamp '2026-01-01', interval '90 days') AS soon
      FROM pace p JOIN customer c USING (customer_id)
      ORDER BY p.latest + p.average, c.customer_id`,
  },
  {
    title: 'Flatten the invoices of Prague to JSON and read them back as rows.',
    uses: ['json', 'lateral', 'join', 'cte', 'date arithmetic'],
    sql: `
      WITH documents AS (
        SELECT i.invoice_id, jsonb_build_object(
                 'when', i.invoice_date + interval '1 day 02:03:04.5',
                 'buyer', row_to_json(c),
                 'lines', (SELECT jsonb_agg(to_jsonb(l) ORDER BY l.invoice_line_id)
                           FROM invoice_line l WHERE l.invoice_id = i.invoice_id)) AS document
        FROM invoice i JOIN customer c USING (customer_id) WHERE c.city = 'Prague'
      )
      SELECT d.invoice_id, line.invoice_line_id, line.unit_price, line.quantity, nth.position,
             d.document #>> '{buyer,last_name}' AS buyer,
             (d.document ->> 'when')::timestamptz AS due,
             jsonb_typeof(d.document -> 'lines') AS kind,
             d.document @? '$.lines[*] ? (@.unit_price > 1)' AS has_video
      FROM documents d
      CROSS JOIN LATERAL jsonb_array_elements(d.document -> 'lines')
        WITH ORDINALITY AS nth(element, position)
      CROSS JOIN LATERAL jsonb_to_record(nth.element)
        AS line(invoice_line_id int, unit_price numeric, quantity int8)
      ORDER BY d.invoice_id, nth.position`,
  },
  {
    title: 'Which artists climbed most in yearly sales, and did they reach the top ten?',
    uses: ['join', 'cte', 'window', 'set operation', 'date arithmetic', 'json'],
    sql: `
      WITH sold AS (
        SELECT ar.artist_id, ar.name, extract(year FROM i.invoice_date)::int AS year,
               sum(l.unit_price * l.quantity) AS total
        FROM artist ar JOIN album USING (artist_id) JOIN track t USING (album_id)
        JOIN invoice_line l USING (track_id) JOIN invoice i USING (invoice_id)
        GROUP BY 1, 2, 3
      ), placed AS (
        SELECT *, rank() OVER (PARTITION BY year ORDER BY total DESC) AS place,
               total - coalesce(lag(total) OVER (PARTITION BY artist_id ORDER BY year), 0) AS gain
        FROM sold
      )
      (SELECT 'climber' AS list, year, artist_id, name, total, gain, place, place <= 10 AS top,
              to_json(ARRAY[total, gain]) AS figures
       FROM placed ORDER BY gain DESC, artist_id, year LIMIT 15)
      UNION ALL
      (SELECT 'faller', year, artist_id, name, total, gain, place, place <= 10,
              to_json(ARRAY[total, gain])
       FROM placed ORDER BY gain, artist_id, year LIMIT 15)
      ORDER BY list, gain, artist_id, year`,
  },
]
