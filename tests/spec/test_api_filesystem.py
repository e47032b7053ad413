"""`cvmfs://` through fsspec: what its own calls tell, and that pandas and pyarrow read through it."""

import io
import os
import pickle
import threading

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

import swrepo
from swrepo.api.filesystem import CvmfsFileSystem
from swrepo.errors import ReadOnly
from tests.publishing import Server, fast_options

FQRN = "sw.example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    found = Server(tmp_path_factory.mktemp("server"), fast_options())
    tree = found.tree
    (tree / "data/2025").mkdir(parents=True)
    (tree / "data/2026").mkdir()
    for year in (2025, 2026):
        lines = "".join(f"{number},{year * number}\n" for number in range(5000))
        (tree / f"data/{year}/part.csv").write_text("number,value\n" + lines)
    (tree / "data/big").write_bytes(os.urandom(200_000))
    (tree / "data/latest").symlink_to("2026")
    (tree / "data/link.csv").symlink_to("2025/part.csv")
    (tree / "data/round").symlink_to("../data")
    (tree / "data/broken").symlink_to("nowhere")
    os.mkfifo(tree / "data/fifo")
    found.publish("v1")
    return found


@pytest.fixture
def options(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path))
    yield {
        "server_url": f"file://{server.places.storage.parent}/@fqrn@",
        "key": str(server.places.keys.public),
        "cache": str(tmp_path / "cache"),
    }
    CvmfsFileSystem.clear_instance_cache()


@pytest.fixture
def fs(options):
    return fsspec.filesystem("cvmfs", **options)


def test_the_protocol_is_registered_for_everybody_who_has_fsspec(fs, server, options):
    assert isinstance(fs, CvmfsFileSystem)
    with fsspec.open(f"cvmfs://{FQRN}/data/2025/part.csv", "rt", **options) as file:
        assert file.readline() == "number,value\n"


def test_one_url_without_a_place_for_the_name_is_that_of_one_repository(server, options):
    fs = fsspec.filesystem("cvmfs", **{**options, "server_url": str(server.places.storage)})
    assert fs.exists(f"{FQRN}/data")
    assert not fs.exists("other.example.org/data")
    with pytest.raises(FileNotFoundError, match="is the repository sw"):
        fs.ls("other.example.org")


def test_listings_are_those_of_the_published_tree(fs, server):
    local = LocalFileSystem()
    for path in ("", "data", "data/2025"):
        there = {
            info["name"].removeprefix(str(server.tree)): info for info in local.ls(f"{server.tree}/{path}", detail=True)
        }
        here = {info["name"].removeprefix(FQRN): info for info in fs.ls(f"cvmfs://{FQRN}/{path}")}
        assert here.keys() == there.keys()
        for name, info in here.items():
            if info["type"] == "file":
                assert (info["size"], info["mode"] & 0o7777) == (
                    os.stat(f"{server.tree}{name}").st_size,
                    os.stat(f"{server.tree}{name}").st_mode & 0o7777,
                )
    assert fs.ls(f"{FQRN}/data/2025/part.csv", detail=False) == [f"{FQRN}/data/2025/part.csv"]
    assert fs.ls("") == [{"name": FQRN, "type": "directory", "size": 0}]


def test_links_to_files_are_files_and_walks_do_not_enter_links_to_directories(fs):
    types = {info["name"].rpartition("/")[2]: (info["type"], info["islink"]) for info in fs.ls(f"{FQRN}/data")}
    assert types["link.csv"] == ("file", True)
    assert types["latest"] == types["round"] == types["broken"] == ("link", True)
    assert types["fifo"] == ("other", False)
    assert types["2025"] == ("directory", False)
    assert fs.info(f"{FQRN}/data/latest")["type"] == "directory"
    assert fs.isdir(f"{FQRN}/data/round")
    assert fs.ls(f"{FQRN}/data/latest", detail=False) == [f"{FQRN}/data/latest/part.csv"]
    found = fs.find(f"{FQRN}/data")
    assert [path for path in found if path.endswith(".csv")] == [
        f"{FQRN}/data/{name}" for name in ("2025/part.csv", "2026/part.csv", "link.csv")
    ]
    assert fs.glob(f"cvmfs://{FQRN}/data/*/part.csv") == [f"{FQRN}/data/{name}/part.csv" for name in ("2025", "2026")]
    assert fs.du(f"{FQRN}/data/2025") == fs.size(f"{FQRN}/data/2025/part.csv")


def test_files_are_read_whole_in_parts_and_many_at_once(fs, server):
    whole = (server.tree / "data/big").read_bytes()
    path = f"{FQRN}/data/big"
    assert fs.cat_file(path) == fs.cat(path) == whole
    assert fs.cat_file(path, 10, 20) == whole[10:20]
    assert fs.cat_file(path, -20, -10) == whole[-20:-10]
    assert fs.head(path, 5) == whole[:5]
    assert fs.tail(path, 5) == whole[-5:]
    ranges = fs.cat_ranges([path] * 50, [4000 * n for n in range(50)], [4000 * (n + 1) for n in range(50)])
    assert b"".join(ranges) == whole
    assert set(fs.cat(f"{FQRN}/data/2*/part.csv")) == {f"{FQRN}/data/{year}/part.csv" for year in (2025, 2026)}
    found = fs.cat_ranges([path, f"{FQRN}/nothing"], 0, 5)
    assert found[0] == whole[:5]
    assert isinstance(found[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges([path, f"{FQRN}/nothing"], 0, 5, on_error="raise")


def test_get_copies_a_tree(fs, server, tmp_path):
    fs.get(f"cvmfs://{FQRN}/data/2025", str(tmp_path / "out"), recursive=True)
    assert (tmp_path / "out/part.csv").read_bytes() == (server.tree / "data/2025/part.csv").read_bytes()


def test_keys_of_contents_are_the_same_for_the_same_bytes_only(fs):
    csv = [f"{FQRN}/data/{name}" for name in ("2025/part.csv", "link.csv", "2026/part.csv")]
    assert fs.checksum(csv[0]) == fs.checksum(csv[1]) != fs.checksum(csv[2])
    assert fs.modified(csv[0]) == fs.created(csv[0])


@pytest.mark.parametrize(
    "act",
    [
        lambda fs, path: fs.open(path, "wb"),
        lambda fs, path: fs.rm(path),
        lambda fs, path: fs.mkdir(path),
        lambda fs, path: fs.makedirs(path),
        lambda fs, path: fs.touch(path),
        lambda fs, path: fs.pipe_file(path, b"x"),
        lambda fs, path: fs.mv(path, path + "2"),
        lambda fs, path: fs.cp_file(path, path + "2"),
        lambda fs, path: fs.rmdir(path),
    ],
)
def test_whatever_would_write_is_refused(fs, act):
    with pytest.raises(ReadOnly):
        act(fs, f"{FQRN}/data/big")


def test_threads_and_copies_of_the_file_system_share_one_open_repository(fs):
    other = []
    thread = threading.Thread(target=lambda: other.append(fsspec.filesystem("cvmfs", **fs.storage_options)))
    thread.start()
    thread.join()
    copy = pickle.loads(pickle.dumps(fs))
    assert other[0].repository(FQRN) is fs.repository(FQRN) is copy.repository(FQRN)
    assert isinstance(fs.repository(FQRN), swrepo.Repository)


def test_new_revisions_come_with_the_next_invalidation(tmp_path, monkeypatch):
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "client"))
    server = Server(tmp_path / "server", fast_options())
    (server.tree / "a").write_text("one")
    server.publish()
    fs = fsspec.filesystem(
        "cvmfs", server_url=str(server.places.storage), key=str(server.places.keys.public), skip_instance_cache=True
    )
    assert fs.cat(f"{FQRN}/a") == b"one"
    (server.tree / "a").write_text("two")
    server.publish()
    fs.invalidate_cache()
    assert fs.cat(f"{FQRN}/a") == b"two"


class TestReaders:
    def test_pandas_reads_a_table(self, options, server):
        pandas = pytest.importorskip("pandas")
        found = pandas.read_csv(f"cvmfs://{FQRN}/data/2026/part.csv", storage_options=options)
        assert found.equals(pandas.read_csv(server.tree / "data/2026/part.csv"))

    def test_pyarrow_reads_a_data_set_of_parquet_files(self, tmp_path, monkeypatch):
        pytest.importorskip("pyarrow")
        import pyarrow as pa
        from pyarrow import dataset, fs, parquet

        monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "client"))
        server = Server(tmp_path / "server", fast_options())
        table = pa.table({"x": list(range(20_000)), "y": [str(number % 7) for number in range(20_000)]})
        parquet.write_to_dataset(table, server.tree / "set", partition_cols=["y"])
        server.publish()
        ours = fsspec.filesystem(
            "cvmfs", server_url=str(server.places.storage), key=str(server.places.keys.public), skip_instance_cache=True
        )
        source = dataset.dataset(f"{FQRN}/set", filesystem=fs.PyFileSystem(fs.FSSpecHandler(ours)), partitioning="hive")
        assert source.count_rows() == 20_000
        assert sorted(source.to_table(columns=["x"])["x"].to_pylist()) == list(range(20_000))
        assert source.to_table(filter=dataset.field("y") == 3).num_rows == 20_000 // 7

    def test_zarr_reads_an_array(self, tmp_path, monkeypatch):
        zarr = pytest.importorskip("zarr", minversion="3")
        monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "client"))
        server = Server(tmp_path / "server", fast_options())
        made = zarr.create_array(str(server.tree / "array"), shape=(100, 100), chunks=(10, 10), dtype="i4")
        made[:] = 7
        made[50, 50] = 8
        server.publish()
        options = {"server_url": str(server.places.storage), "key": str(server.places.keys.public)}
        found = zarr.open_array(f"cvmfs://{FQRN}/array", mode="r", storage_options=options)
        assert (found[:].sum(), found[50, 50]) == (70_001, 8)

    def test_numpy_reads_an_array(self, tmp_path, monkeypatch):
        numpy = pytest.importorskip("numpy")
        monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "client"))
        server = Server(tmp_path / "server", fast_options())
        numpy.save(server.tree / "a.npy", numpy.arange(10_000))
        server.publish()
        with (
            swrepo.open(server.places.storage, key=server.places.keys.public) as repo,
            repo.open("a.npy", "rb") as file,
        ):
            assert numpy.load(file).sum() == numpy.arange(10_000).sum()
            assert isinstance(file, io.BufferedReader)
