"""Placement's API, with tables from its own models."""

import os
import sys

sys.argv = sys.argv[:1]  # gunicorn's words are not for Placement

import sqlalchemy  # noqa: E402
from placement.db.sqlalchemy import models  # noqa: E402

models.BASE.metadata.create_all(sqlalchemy.create_engine(os.environ["DATABASE"]))

from placement.wsgi.api import application  # noqa: E402, F401
