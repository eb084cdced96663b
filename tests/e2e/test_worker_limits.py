"""What the processes of a hub's jobs may use: memory and time. The hub itself goes on."""
from hub import hubs  # noqa: F401  (fixture)

SORT = "SELECT i AS a, repeat(cast(i AS VARCHAR), 50) AS b FROM range(3000000) t(i) ORDER BY b"
FOREVER = "SELECT count(*) AS n FROM range(100000000) a(i), range(100000000) b(j) WHERE (i * j) % 7 = 3"


def failed_build(hub, slipway, query):
    slipway.write("rows.csv", "a\n1\n")
    slipway("dataset", "add", "p/rows", "rows.csv")
    slipway("recipe", "add", "sql", "p", "--input", "rows", "--output", "out", "--query", query)
    done = slipway("build", "p/out", code=None)
    assert done.code not in (0, 2), done.out + done.err
    assert hub.local("GET", "/api/v1/projects").status == 200
    return done.out + done.err


def test_a_job_that_wants_more_memory_fails_and_says_what_it_may_use(slipway, hubs):  # noqa: F811
    slipway("init")
    told = failed_build(hubs(slipway, "--worker-memory", "96MB", "--allow-path", slipway.folder), slipway, SORT)
    assert "a worker may use 96 MiB (--worker-memory of the hub)" in told


def test_a_job_that_takes_too_long_is_ended(slipway, hubs):  # noqa: F811
    slipway("init")
    told = failed_build(hubs(slipway, "--worker-minutes", "0.03", "--allow-path", slipway.folder), slipway, FOREVER)
    assert "and was ended" in told and "--worker-minutes" in told


def test_limits_that_are_none_are_refused(slipway):
    slipway("init")
    for words in (("--worker-memory", "lots"), ("--worker-memory", "1000"), ("--worker-memory", "-5"), ("--worker-minutes", "0"), ("--worker-minutes", "-1")):
        assert words[0] in slipway("hub", *words, code=2).err
