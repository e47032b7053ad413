"""Neutron's API, with tables from its own models in place of its migrations, which take long."""

import os
import sys

sys.argv = sys.argv[:1]  # gunicorn's words are not for Neutron

import sqlalchemy  # noqa: E402
from neutron.db.migration.models import head  # noqa: E402
from neutron.server import api, boot_server  # noqa: E402

head.get_metadata().create_all(sqlalchemy.create_engine(os.environ["DATABASE"]))
application = boot_server(api.api_server, prog="neutron-api")
