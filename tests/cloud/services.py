"""Real Keystone and Glance on loopback, as a cloud: SQLite, files, one process each.

They come from the Python index into an environment of their own (`.ci/setup test` makes it); where that is missing, the
tests that need them are skipped.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import openstack

from tests.network.programs import free_port, running

HOME = Path(os.environ.get("SWREPO_OPENSTACK", Path(__file__).resolve().parents[2] / ".venv-openstack"))
PASSWORD = "secret"

_KEYSTONE = """
[DEFAULT]
log_file =
[database]
connection = sqlite:///{place}/keystone.db
[identity]
password_hash_rounds = 4
[fernet_tokens]
key_repository = {place}/fernet
[fernet_receipts]
key_repository = {place}/fernet
[credential]
key_repository = {place}/credential
[token]
provider = fernet
"""
_GLANCE = """
[DEFAULT]
enabled_backends = files:file
use_keystone_limits = {limits}
lock_path = {place}/lock
[database]
connection = sqlite:///{place}/glance.db
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = {place}/images
[os_glance_tasks_store]
filesystem_store_datadir = {place}/tasks
[os_glance_staging_store]
filesystem_store_datadir = {place}/staging
[keystone_authtoken]
www_authenticate_uri = {keystone}
auth_url = {keystone}
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = admin
username = admin
password = {password}
[paste_deploy]
flavor = keystone
[oslo_limit]
auth_url = {keystone}
auth_type = password
user_domain_id = default
username = admin
password = {password}
system_scope = all
endpoint_id =
"""
# Keystone reads the command line of whatever process it is in; gunicorn's would end it.
_WSGI = "import sys\nsys.argv = sys.argv[:1]\nfrom {module} import application\n"


@dataclass(frozen=True, slots=True)
class Cloud:
    """A cloud that runs: `environment` is what its RC file would set, for its administrator."""

    name: str
    place: Path
    identity: str
    images: str

    def account(self, user: str = "admin", project: str = "admin", password: str = PASSWORD) -> dict[str, str]:
        """What clouds.yaml says of an account."""
        return {
            "auth_url": self.identity,
            "username": user,
            "password": password,
            "project_name": project,
            "user_domain_id": "default",
            "project_domain_id": "default",
        }


@contextmanager
def cloud(name: str, place: Path) -> Iterator[Cloud]:
    """A cloud, from when its services answer until the `with` ends."""
    place.mkdir(parents=True)
    identity_port, image_port = free_port(), free_port()
    found = Cloud(name, place, f"http://127.0.0.1:{identity_port}/v3", f"http://127.0.0.1:{image_port}")
    _configure(found)
    with (
        _gunicorn("keystone.wsgi.api", place, identity_port, {"OS_KEYSTONE_CONFIG_FILES": f"{place}/keystone.conf"}),
        _gunicorn("glance.wsgi.api", place, image_port, {"OS_GLANCE_CONFIG_DIR": str(place)}),
    ):
        urlopen(found.identity, timeout=60).close()
        _register(found)
        yield found


def _configure(found: Cloud) -> None:
    place = found.place
    values = {"place": place, "keystone": found.identity, "password": PASSWORD, "limits": "false"}
    for name, text in (("keystone.conf", _KEYSTONE), ("glance-api.conf", _GLANCE)):
        (place / name).write_text(text.format(**values))
    paste = next((HOME / "etc/glance").glob("glance-api-paste.ini"), None)
    assert paste is not None, f"there is no glance-api-paste.ini below {HOME}"
    (place / "glance-api-paste.ini").write_text(paste.read_text())
    for name in ("images", "tasks", "staging", "lock"):
        (place / name).mkdir()
    keystone = ["keystone-manage", "--config-file", f"{place}/keystone.conf"]
    for words in (["db_sync"], ["fernet_setup"], ["credential_setup"]):
        same_user = [] if words == ["db_sync"] else ["--keystone-user", _user(), "--keystone-group", _group()]
        _run(*keystone, *words, *same_user)
    bootstrap = ["bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", "here"]
    for side in ("public", "internal", "admin"):
        bootstrap += [f"--bootstrap-{side}-url", found.identity]
    _run(*keystone, *bootstrap)
    _run("glance-manage", "--config-file", f"{place}/glance-api.conf", "db_sync")


def _register(found: Cloud) -> None:
    """Tell where the image service is; and an ordinary user, `alice`, with a project of hers."""
    identity = openstack.connect(auth=found.account(), region_name="here").identity
    service = identity.create_service(type="image", name="glance")
    for side in ("public", "internal"):
        identity.create_endpoint(service_id=service.id, interface=side, url=found.images, region_id="here")
    project = identity.create_project(name="alice", domain_id="default")
    user = identity.create_user(name="alice", password=PASSWORD, domain_id="default")
    identity.assign_project_role_to_user(project, user, identity.find_role("member"))


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _group() -> str:
    import grp

    return grp.getgrgid(os.getegid()).gr_name


def _run(program: str, *words: str) -> None:
    ran = subprocess.run([HOME / "bin" / program, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@contextmanager
def _gunicorn(module: str, place: Path, port: int, environment: dict[str, str]) -> Iterator[None]:
    name = module.partition(".")[0]
    (place / f"{name}_application.py").write_text(_WSGI.format(module=module))
    log = place / f"{name}.log"
    words = [
        *("env", *(f"{key}={value}" for key, value in environment.items()), f"PYTHONPATH={place}"),
        str(HOME / "bin/gunicorn"),
        *("--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4", "--timeout", "300"),
        *("--no-control-socket", "--graceful-timeout", "2", "--keep-alive", "75"),  # longer than clients pause
        f"{name}_application:application",
    ]
    with running(words, port, log):
        yield
