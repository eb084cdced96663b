"""slipway-apinode is lean: no data engine, no trainer, no SQL; and it answers to --help, --version and --check."""
import re
import subprocess

from apinode import nodes, shop  # noqa: F401  (fixtures)
from conftest import BINARY

NODE = BINARY.parent / "slipway-apinode"


def run(*arguments):
    return subprocess.run([str(NODE), *map(str, arguments)], capture_output=True, text=True, timeout=60)


def needed(path):
    text = subprocess.run(["readelf", "-d", str(path)], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.+?)\]", text))


def test_needs_no_data_engine_no_trainer_and_no_sql():
    for path in (NODE, BINARY.parent.parent / "lib" / "libslipway.so"):
        libraries = needed(path)
        assert libraries, path
        assert not [name for name in libraries if re.search("duckdb|lightgbm|xgboost|libpq|sqlite|gomp", name)], libraries
        # Nor loaded at run time: their names do not occur.
        text = path.read_bytes()
        assert b"libduckdb" not in text and b"lib_lightgbm" not in text, path


def test_version_and_help():
    assert run("--version").stdout.startswith("slipway-apinode ")
    text = run("--help").stdout
    assert "--listen" in text and "admin" in text


def test_check_says_what_is_wrong_and_starts_nothing(tmp_path):
    assert run("--home", tmp_path / "h", "--check").returncode == 0
    assert not (tmp_path / "h" / "node.json").exists()
    config = tmp_path / "apinode.toml"
    config.write_text("[http]\nlisten = ['127.0.0.1:0']\nlissen = 3\n")
    done = run("--home", tmp_path / "h", "--config", config, "--check")
    assert done.returncode == 2 and f"{config}:3:" in done.stderr and "listen" in done.stderr, done.stderr


def test_off_loopback_nothing_is_open_by_accident(tmp_path):
    done = run("--home", tmp_path / "h", "--listen", "0.0.0.0:0", "--check")
    assert done.returncode == 2 and "--allow" in done.stderr, done.stderr
    assert run("--home", tmp_path / "h", "--listen", "0.0.0.0:0", "--allow-keys-without-tls", "--check").returncode == 0


def test_unknown_flags_and_addresses_are_refused(tmp_path):
    assert run("--lissen", "x").returncode == 2
    done = run("--home", tmp_path / "h", "--listen", "nonsense", "--check")
    assert done.returncode == 2 and "ADDRESS:PORT" in done.stderr


def test_a_package_on_the_command_line_does_not_undo_a_switch(nodes, shop):
    node = nodes(package=shop.v1)
    node.serve(shop.v2)
    assert node.predict(shop.records[0]).json["apiContext"]["serviceGeneration"] == "v2"
    node.kill()
    node.start()  # with --package v1 again, as a unit file would
    assert node.predict(shop.records[0]).json["apiContext"]["serviceGeneration"] == "v2"
    assert "takes no traffic" in node.log()


def test_a_package_that_is_gone_or_bad_does_not_stop_what_is_served(nodes, shop, tmp_path):
    node = nodes(package=shop.v1)
    for package, why in ((tmp_path / "gone.zip", "gone.zip"), (shop.bad, "bad")):
        node.kill()
        node.package = package
        node.start()
        assert node.predict(shop.records[0]).json["apiContext"]["serviceGeneration"] == "v1"
        if package != shop.bad:
            assert '"level":"error"' in node.log().replace(" ", "") and why in node.log()
    for package in (tmp_path / "gone.zip", shop.bad):
        done = run("--home", tmp_path / package.stem, "--listen", "127.0.0.1:0", "--package", package)
        assert done.returncode in (1, 2) and package.stem.split("-")[-1] in done.stderr, done.stderr
    assert run("--home", tmp_path / "h", "--package", tmp_path / "gone.zip", "--check").returncode == 2


def test_check_looks_at_folders_and_dates(tmp_path):
    file = tmp_path / "file"
    file.touch()
    done = run("--home", file, "--check")
    assert done.returncode == 2 and f"--home: {file} is no folder" in done.stderr, done.stderr
    config = tmp_path / "apinode.toml"
    config.write_text(f'[http]\nlisten = ["127.0.0.1:99999", "foo"]\n[query_log]\nfolder = "{file}"\nredact = [""]\n')
    done = run("--home", tmp_path / "h", "--config", config, "--check")
    assert done.returncode == 2, done.stderr
    for text in ("127.0.0.1:99999", "'foo'", "query_log.folder", "query_log.redact"):
        assert text in done.stderr, (text, done.stderr)
