INSERT INTO dim_date
SELECT
    to_char(date, 'YYYYMMDD')::integer,
    date,
    extract(year FROM date),
    extract(quarter FROM date),
    extract(month FROM date),
    extract(day FROM date),
    extract(isodow FROM date) - 1,
    extract(week FROM date),
    extract(isodow FROM date) >= 6
FROM unnest(%(dates)s::date[]) AS date
ON CONFLICT DO NOTHING
