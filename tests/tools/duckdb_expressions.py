"""Evaluates SQL expressions with DuckDB: JSON {"rows": [[i, d, s, b, day, t], ...], "expressions": [...]} in argv[1],
a list of result columns to argv[2]. Used by src/slipway/features/expression_duckdb_test.cc.
"""
import json
import math
import sys

import duckdb

MACROS = """
create macro nn(x) as case when isnan(x) then null else x end;
create macro divided(a, b) as nn(a / nullif(b, 0));
create macro remainder_of(a, b) as nn(a % nullif(b, 0));
create macro root_of(x) as case when x < 0 then null else sqrt(x) end;
create macro log_of(x) as case when x <= 0 then null else ln(x) end;
create macro power_of(a, b) as case when a = 0 and b < 0 then null else nn(pow(a, b)) end;
create macro at_most_1(x) as case when x > 1 then 1 else x end;
create macro haversine(a, b, c, d) as 2 * 6371.0088::double * asin(sqrt(at_most_1(
  pow(sin(radians(c - a) / 2), 2) + cos(radians(a)) * cos(radians(c)) * pow(sin(radians(d - b) / 2), 2))));
"""


def plain(value):
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def main():
    with open(sys.argv[1]) as file:
        work = json.load(file)
    db = duckdb.connect()
    db.execute(MACROS)
    db.execute("create table r (n int, i bigint, d double, s varchar, b boolean, day date, t timestamp)")
    db.executemany("insert into r values (?, ?, ?, ?, ?, ?, ?)", [[n, *row] for n, row in enumerate(work["rows"])])
    answers = []
    for sql in work["expressions"]:
        try:
            answers.append([plain(value) for (value,) in db.execute(f"select {sql} from r order by n").fetchall()])
        except duckdb.Error as error:
            sys.exit(f"{error}\nin: {sql}")
    with open(sys.argv[2], "w") as file:
        json.dump(answers, file)


if __name__ == "__main__":
    main()
