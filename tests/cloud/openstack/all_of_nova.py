"""Nova in one process: its API, conductor, scheduler and compute service, with a message bus in memory.

Run by gunicorn as `all_of_nova:application`, with the environment of OpenStack's packages, not ours. Tables are made from
Nova's own models in place of its migrations, and the two cells are entered as `nova-manage` does. Nova's fake driver starts
nothing; its snapshot, which leaves an image queued for ever, sends the name of the machine as the disk instead.
"""

import io
import os
import sys

sys.argv = sys.argv[:1]  # gunicorn's words are not for Nova
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "yes"

from nova import monkey_patch  # noqa: E402 - must come first

monkey_patch.patch(backend="threading")

import nova.conf  # noqa: E402
import sqlalchemy  # noqa: E402
from nova import context, objects, service  # noqa: E402
from nova.api.openstack import wsgi_app  # noqa: E402
from nova.compute import rpcapi as compute_rpcapi  # noqa: E402
from nova.compute import task_states  # noqa: E402
from nova.conductor import rpcapi as conductor_rpcapi  # noqa: E402
from nova.db.api import models as api_models  # noqa: E402
from nova.db.main import models as main_models  # noqa: E402
from nova.image import glance  # noqa: E402
from nova.objects import cell_mapping, host_mapping  # noqa: E402
from nova.scheduler import rpcapi as scheduler_rpcapi  # noqa: E402
from nova.virt import fake  # noqa: E402

CONF = nova.conf.CONF
CELL0 = "00000000-0000-0000-0000-000000000000"
CELL1 = "11111111-1111-1111-1111-111111111111"


def make_databases() -> None:
    """Tables, and the two cells that every Nova has."""
    for url, models in (
        (CONF.api_database.connection, api_models),
        (CONF.database.connection, main_models),
        (CONF.database.connection.replace("cell1", "cell0"), main_models),
    ):
        models.BASE.metadata.create_all(sqlalchemy.create_engine(url))
    admin = context.get_admin_context()
    for uuid, name in ((CELL0, "cell0"), (CELL1, "cell1")):
        cell_mapping.CellMapping(
            admin,
            uuid=uuid,
            name=name,
            transport_url="none:///" if name == "cell0" else CONF.transport_url,
            database_connection=CONF.database.connection.replace("cell1", name),
            disabled=False,
        ).create()


def snapshot(self, context, instance, image_id, update_task_state) -> None:
    """What a driver does with a disk: it sends it to the image service."""
    update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
    told = {"disk_format": "raw", "container_format": "bare"}
    update_task_state(task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_PENDING_UPLOAD)
    disk = io.BytesIO(f"the disk of {instance.display_name}\n".encode())
    glance.API().update(context, image_id, told, disk, purge_props=False)


def start(binary: str, topic: str, **more: str) -> None:
    """One of the services that are not the API."""
    service.Service.create(binary=binary, topic=topic, **more).start()


wsgi_app.init_global_data([os.environ["OS_NOVA_CONFIG_DIR"] + "/nova.conf"], "nova-api", "nova-api")
make_databases()
objects.register_all()
fake.FakeDriver.snapshot = snapshot
start("nova-conductor", conductor_rpcapi.RPC_TOPIC)
start("nova-scheduler", scheduler_rpcapi.RPC_TOPIC)
start("nova-compute", compute_rpcapi.RPC_TOPIC, topic_alt=compute_rpcapi.RPC_TOPIC_ALT)
host_mapping.discover_hosts(context.get_admin_context())
application = wsgi_app.init_application("osapi_compute", "nova-api")
