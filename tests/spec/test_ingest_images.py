"""Container images are published as root file systems: layers on each other, each stored once, every byte verified."""

from __future__ import annotations

import gzip
import json
import random
from contextlib import suppress

import pytest
import zstandard

from swrepo.cli.main import main
from swrepo.errors import CorruptObject, FormatError, NotFound, UsageError
from swrepo.format.image import Descriptor, parse_config, parse_index, parse_manifest, parse_saved
from swrepo.publish.image_archive import archive
from swrepo.publish.image_environment import environment_script, run_script
from swrepo.publish.image_ingestion import ImageIngestion
from swrepo.publish.image_registry import Reference
from swrepo.publish.image_source import chosen, layout_directory
from swrepo.publish.image_survey import ImageRemoval, survey
from tests.archives import ingest, item, shown, tar
from tests.images import Made, files_of_layout, made, named, saved, write_layout
from tests.publishing import Server, check_catalogs, check_documents

BASE = tar(
    item("bin", "d"),
    item("bin/sh", content=b"#!", mode=0o755),
    item("etc", "d", mode=0o751, uid=3),
    item("etc/a", content=b"1"),
    item("etc/b", content=b"2"),
    item("lib", "l", linkname="usr/lib"),
    item("usr/lib/l", content=b"lib"),
    item("var/cache/x", content=b"x"),
)
UPPER = tar(
    item("etc/.wh.a"),
    item("etc/c", content=b"3"),
    item("lib/m", content=b"through the link"),
    item("bin/bash", "h", linkname="bin/sh"),
    item("var/cache/y", content=b"y"),  # before what hides all that was there
    item("var/cache/.wh..wh..opq"),
    item(".wh..wh.plnk", "d"),
)


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path / "server")


def publish(server, source, name=b"/images/demo:1", wanted="", platform="linux/amd64"):
    server.clock.ns += 3600 * 10**9
    ingestion = ImageIngestion(source, chosen(source, wanted, platform), name)
    outcome = server.publisher().publish_archives(server.fqrn, ingestion)
    with server.revision() as revision:
        check_catalogs(revision)
    check_documents(server.places, server.manifest())
    return ingestion, outcome


def rootfs(server, ingestion):
    """What is in the root file system, without what is ours."""
    found = {}
    for path, what in shown(server).items():
        inside = path.removeprefix(ingestion.flat)
        if path.startswith(ingestion.flat + b"/") and not inside.startswith((b"/.cvmfs", b"/.singularity.d")):
            found[inside.decode()] = what
    return found


EXPECTED = {
    "/bin": "d",
    "/bin/sh": b"#!",
    "/bin/bash": b"#!",
    "/etc": "d",
    "/etc/b": b"2",
    "/etc/c": b"3",
    "/lib": "usr/lib",
    "/usr": "d",
    "/usr/lib": "d",
    "/usr/lib/l": b"lib",
    "/usr/lib/m": b"through the link",
    "/var": "d",
    "/var/cache": "d",
    "/var/cache/y": b"y",
}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bytes])
def test_layers_lie_on_each_other(server, tmp_path, pack):
    image = made(BASE, UPPER, pack=pack, Env=["PATH=/bin"], Cmd=["sh"])
    ingestion, _ = publish(server, layout_directory(write_layout(tmp_path / "layout", image)))
    assert rootfs(server, ingestion) == EXPECTED
    found = shown(server)
    assert found[b"/images/demo:1"] == f"..{ingestion.flat.decode()}"
    assert found[b"/.metadata/images/demo:1/config.json"] == image.config
    assert found[ingestion.flat + b"/.singularity.d/runscript"].startswith(b"#!/bin/sh\n")
    with server.revision() as revision:
        etc = revision.lookup(ingestion.flat + b"/etc")  # which the upper layer has not
        assert (etc.mode, etc.uid) == (0o40751, 3)
        assert (revision.lookup(ingestion.flat).uid, revision.lookup(ingestion.flat + b"/usr").uid) == (0, 0)
        assert revision.lookup(ingestion.flat + b"/bin/bash").linkcount == 2


def test_a_layer_that_is_there_is_not_fetched_again_and_lies_as_it_did(server, tmp_path):
    first = write_layout(tmp_path / "first", made(BASE))
    publish(server, layout_directory(first), b"/first")
    image = made(BASE, UPPER)
    layout = write_layout(tmp_path / "second", image)
    base = json.loads(image.blobs[image.manifest["digest"]])["layers"][0]["digest"]
    (layout / "blobs" / base.replace(":", "/")).unlink()
    ingestion, outcome = publish(server, layout_directory(layout), b"/second")
    assert ingestion.fetched == 1
    assert rootfs(server, ingestion) == EXPECTED
    again, outcome = publish(server, layout_directory(layout), b"/second")
    assert (again.fetched, outcome.published) == (0, False)
    other, outcome = publish(server, layout_directory(layout), b"/third/name")
    assert (other.fetched, outcome.new_objects < 12) == (0, True)
    assert shown(server)[b"/third/name"] == f"..{other.flat.decode()}"


def test_a_name_goes_from_one_image_to_the_next(server, tmp_path):
    one, _ = publish(server, layout_directory(write_layout(tmp_path / "1", made(BASE))))
    two, _ = publish(server, layout_directory(write_layout(tmp_path / "2", made(BASE, UPPER))))
    found = shown(server)
    assert found[b"/images/demo:1"] == f"..{two.flat.decode()}"
    assert found[one.flat + b"/etc/a"] == b"1"  # running containers have it open


def test_a_layer_may_be_there_twice(server, tmp_path):
    change = tar(item("etc/a", content=b"changed"))
    ingestion, _ = publish(server, layout_directory(write_layout(tmp_path / "l", made(BASE, change, BASE))))
    assert rootfs(server, ingestion)["/etc/a"] == b"1"


def test_what_docker_saves_is_an_image(server, tmp_path):
    image = made(BASE, UPPER, BASE, UPPER)
    (tmp_path / "saved.tar").write_bytes(saved(image, BASE, UPPER, BASE, UPPER))
    source = archive(tmp_path / "saved.tar")
    ingestion, _ = publish(server, source)
    assert chosen(source, "", "linux/amd64").name == "demo:1"
    assert {path: what for path, what in rootfs(server, ingestion).items() if path != "/var/cache/x"} == EXPECTED
    assert ingestion.flat.endswith(Descriptor(f"sha256:{ingestion.image.manifest.config.hex}", None).hex.encode())


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive_of_a_layout_is_an_image(server, tmp_path, pack):
    image = made(BASE, UPPER)
    path = tmp_path / "image.tar"
    path.write_bytes(pack(tar(*(item(name, content=data) for name, data in files_of_layout(image).items()))))
    ingestion, _ = publish(server, archive(path))
    assert rootfs(server, ingestion) == EXPECTED
    path.write_bytes(tar(item("x")))
    with pytest.raises(FormatError, match="no archive of an image"):
        archive(path)


def test_one_of_several_images_is_chosen_by_name_and_platform(tmp_path):
    both = made(BASE)
    first = named(both, "first")
    arm = made(BASE, UPPER, into=both, architecture="arm64")
    platforms = [
        {**first, "platform": {"os": "linux", "architecture": "amd64"}},
        {**arm.manifest, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
    ]
    index = both.add(both.index(*platforms), "application/vnd.oci.image.index.v1+json")
    layout = layout_directory(write_layout(tmp_path, both, first, {**named(both, "many"), **index}))
    with pytest.raises(NotFound, match=r"several: first, many; name one"):
        chosen(layout, "", "linux/amd64")
    with pytest.raises(NotFound, match=r"no image second; there is first"):
        chosen(layout, "second", "linux/amd64")
    assert chosen(layout, "first", "linux/riscv64").config.platform == "linux/amd64"
    assert chosen(layout, index["digest"], "linux/arm64").config.platform == "linux/arm64"
    with pytest.raises(NotFound, match=r"not there for linux/s390x, but for linux/amd64, linux/arm64/v8"):
        chosen(layout, index["digest"], "linux/s390x")


def test_bytes_that_are_not_those_of_a_digest_change_nothing(server, tmp_path):
    image = made(BASE, UPPER)
    before = server.manifest()
    for number, digest in enumerate(image.blobs):
        layout = write_layout(tmp_path / str(number), image)
        path = layout / "blobs" / digest.replace(":", "/")
        path.write_bytes(path.read_bytes()[:-20] + bytes(20))
        with pytest.raises(CorruptObject):
            publish(server, layout_directory(layout))
        path.write_bytes(image.blobs[digest][:-20])
        with pytest.raises(CorruptObject, match=r"ends after"):
            publish(server, layout_directory(layout))
    assert server.manifest() == before


def test_a_layer_that_unpacks_to_something_else_is_refused(server, tmp_path):
    image = made(BASE)
    lying = Made(dict(image.blobs))
    config = json.loads(image.config)
    config["rootfs"]["diff_ids"] = [f"sha256:{'0' * 64}"]
    manifest = json.loads(image.blobs[image.manifest["digest"]])
    manifest["config"] = lying.add(json.dumps(config).encode(), manifest["config"]["mediaType"])
    lying.manifest = lying.add(json.dumps(manifest).encode(), image.manifest["mediaType"])
    with pytest.raises(CorruptObject, match="unpacks to something else"):
        publish(server, layout_directory(write_layout(tmp_path / "l", lying)))


@pytest.mark.parametrize("name", [b"", b"/.flat/x", b"/.layers", b"/taken"])
def test_an_image_takes_no_name_that_is_something_elses(server, tmp_path, name):
    ingest(server, tar(item("taken", "d")))
    with pytest.raises(UsageError, match="choose"):
        publish(server, layout_directory(write_layout(tmp_path / "l", made(BASE))), name)


def random_layer(dice, numbers):
    """Members, and the same as steps for the model."""
    steps = []
    for _ in range(dice.randint(3, 12)):
        depth = dice.randint(1, 3)
        path = "/".join(dice.choice("abc") for _ in range(depth))
        steps.append((dice.choice("ffffddwwo"), path, str(next(numbers))))
    return steps


def member(kind, path):
    """Name and type."""
    above, _, name = path.rpartition("/")
    if kind == "w":
        return f"{above}/.wh.{name}".lstrip("/"), "f"
    return (f"{path}/.wh..wh..opq", "f") if kind == "o" else (path, kind)


def applied(tree, steps):
    """A model of what a layer does: whiteouts to what was there before, then what it brings."""

    def gone(path, *, keep=False):
        for known in [known for known in tree if known.startswith(path + "/") or (known == path and not keep)]:
            del tree[known]

    for kind, path, _ in steps:
        if kind == "w":
            gone(path)
        elif kind == "o":
            gone(path, keep=True)
    for kind, path, content in steps:
        parts = path.split("/")
        for depth in range(1, len(parts) + (kind in "do")):
            above = "/".join(parts[:depth])
            if tree.get(above, "d") != "d":
                del tree[above]
            tree[above] = "d"
        if kind == "f":
            gone(path)
            tree[path] = content.encode()


def test_layers_at_random_make_what_a_model_says(server, tmp_path):
    dice, numbers = random.Random(11), iter(range(10**6))
    for round_ in range(8):
        layers, tree = [], {}
        for _ in range(3):
            steps = random_layer(dice, numbers)
            items = [
                item(*member(kind, path), content=b"" if kind in "dwo" else text.encode()) for kind, path, text in steps
            ]
            layers.append(tar(*items))
            applied(tree, steps)
        ingestion, _ = publish(
            server, layout_directory(write_layout(tmp_path / str(round_), made(*layers))), b"/x%d" % round_
        )
        found = {path.lstrip("/"): what for path, what in rootfs(server, ingestion).items()}
        assert found == tree, layers


@pytest.mark.parametrize("parse", [parse_index, parse_manifest, parse_config, parse_saved])
def test_any_json_is_a_document_or_a_format_error(parse):
    dice = random.Random(3)
    values = [None, 1, "x", [], {}, [1], {"digest": 5}, {"digest": "sha256:" + "0" * 64, "size": "x"}]
    keys = ["schemaVersion", "config", "layers", "manifests", "rootfs", "diff_ids", "Config", "Layers", "Env"]
    for _ in range(300):
        document = {key: dice.choice(values) for key in dice.sample(keys, dice.randint(0, 5))}
        data = json.dumps(dice.choice([document, [document], dice.choice(values)])).encode()
        for attempt in (data, data[:-1], b"[" * 50_000):
            with suppress(FormatError):
                parse(attempt)


@pytest.mark.parametrize("digest", ["", "sha256:xyz", "md5:" + "0" * 32, "sha256:../../" + "0" * 58])
def test_a_digest_is_nothing_else(digest):
    with pytest.raises(FormatError, match="no digest"):
        Descriptor(digest, 1)


def test_references_are_those_that_people_write():
    assert Reference.parse("debian") == Reference("registry-1.docker.io", "library/debian", "latest")
    assert Reference.parse("docker.io/some/app:1").path == "docker.io/some/app:1"
    assert Reference.parse("reg.example.org:5000/a/b").reference == "latest"
    assert Reference.parse("localhost/a:1").is_local
    digest = "sha256:" + "0" * 64
    assert Reference.parse(f"reg.example.org/a:1@{digest}").reference == digest
    for wrong in ("", "Upper", "reg.example.org/", "reg.example.org/../x", "a b", "x@sha256:12"):
        with pytest.raises((UsageError, FormatError)):
            Reference.parse(wrong)


def test_scripts_say_what_the_configuration_says():
    document = {
        "rootfs": {"diff_ids": []},
        "config": {
            "Env": ["PATH=/a b", 'X=1 "$Y" `z`', "bad-name=1", "2=3"],
            "Entrypoint": ["/run it"],
            "Cmd": ["a", "b c"],
        },
    }
    config = parse_config(json.dumps(document).encode())
    assert environment_script(config).decode().splitlines() == [
        "#!/bin/sh",
        "export PATH='/a b'",
        r'export X="${X:-1 \"\$Y\" \`z\`}"',
    ]
    assert run_script(config).decode().splitlines() == [
        "#!/bin/sh",
        "[ \"$#\" -gt 0 ] || set -- a 'b c'",
        "exec '/run it' \"$@\"",
    ]


TOP = tar(item("top", content=b"top"))


def two_images(server, tmp_path):
    """Two images that share a layer, each with one of its own."""
    first = layout_directory(write_layout(tmp_path / "first", made(BASE, UPPER)))
    second = layout_directory(write_layout(tmp_path / "second", made(BASE, TOP)))
    publish(server, first, b"/images/one:1")
    publish(server, second, b"/images/two:1")
    with server.revision() as revision:
        found = survey(revision)
    assert (len(found.links), len(found.flats), len(found.layers)) == (2, 2, 3)
    assert found.unused().paths == ()
    return found


def removed(server, *names):
    server.clock.ns += 3600 * 10**9
    outcome = server.publisher().publish_archives(server.fqrn, ImageRemoval(names))
    with server.revision() as revision:
        check_catalogs(revision)
        return outcome, survey(revision)


def test_an_image_is_removed_with_what_no_other_image_uses(server, tmp_path):
    before = two_images(server, tmp_path)
    _, found = removed(server, b"/images/one:1")
    assert set(found.links) == {b"/images/two:1"}
    assert len(found.flats) == 1
    assert set(found.layers) == set(next(one.layers for one in before.described if one.name == b"/images/two:1"))
    assert [one.name for one in found.described] == [b"/images/two:1"]
    with server.revision() as revision:
        assert revision.lookup(before.links[b"/images/two:1"] + b"/top").size == 3
    removed(server, b"/images/two:1")
    assert [path for path in shown(server) if path.startswith((b"/.flat/", b"/.layers/", b"/.metadata/"))] == [
        b"/.flat/.cvmfscatalog",
        b"/.layers/.cvmfscatalog",
    ]


def test_what_a_newer_image_of_the_name_replaced_is_pruned_and_other_names_keep_theirs(server, tmp_path):
    before = two_images(server, tmp_path)
    ingest(server, tar(item("images/alias", "l", linkname=f"../{before.links[b'/images/one:1'].decode()[1:]}")))
    assert not removed(server)[0].published
    ingest(server, None, deletes=(b"/images/one:1",))
    assert not removed(server)[0].published
    ingest(server, None, deletes=(b"/images/alias",))
    outcome, found = removed(server)
    assert outcome.published
    assert set(found.flats) == {before.links[b"/images/two:1"]}
    assert len(found.layers) == 2
    assert not removed(server)[0].published


def test_layers_stay_where_it_cannot_be_told_who_uses_them(server, tmp_path):
    two_images(server, tmp_path)
    ingest(server, None, deletes=(b"/.metadata/images/two:1", b"/images/one:1"))
    with server.revision() as revision:
        unused = survey(revision).unused()
    assert "1 root file systems are of images without a manifest" in unused.remark
    assert (len(unused.flats), unused.layers) == (1, ())
    with pytest.raises(NotFound, match="there is no image /images/three"):
        removed(server, b"/images/three")


def test_the_commands_about_images(server, tmp_path, monkeypatch, capsys):
    two_images(server, tmp_path)
    monkeypatch.setenv("SWREPO_PREFIX", str(server.layout.prefix))
    assert main(["server", "images", "list"]) == 0
    assert capsys.readouterr().out.count("2 layers") == 2
    before = shown(server)
    assert main(["server", "images", "remove", "-n", "-b", "/images/one:1"]) == 0
    assert "1 root file systems and 1 layers would go" in capsys.readouterr().out
    assert shown(server) == before
    assert main(["server", "images", "remove", "-b", "/images/one:1"]) == 0
    assert "published revision" in capsys.readouterr().out
    assert main(["server", "images", "prune"]) == 0
    assert "nothing changed" in capsys.readouterr().out
