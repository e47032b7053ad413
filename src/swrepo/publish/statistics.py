"""What publications and collections did, one row each, in the original's statistics database (schema 1.0, revision 4).

`stats.db` in the spool directory, or CVMFS_STATISTICS_DB; rows older than CVMFS_STATS_DB_DAYS_TO_KEEP (365 days) go.
What a directory took with it when it was removed counts as the one directory. Source: cvmfs 2.12.
"""

from __future__ import annotations

import sqlite3
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from swrepo.config.values import Values
from swrepo.errors import NotFound, PublishError, UsageError
from swrepo.format.wellknown import STATISTICS, STATISTICS_PAGE
from swrepo.objects.store import WritableDocuments
from swrepo.publish import settings
from swrepo.publish.changes import Difference, Verb
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.outcome import Outcome
from swrepo.system.atomic import make_directory

PUBLICATIONS, COLLECTIONS = "publish_statistics", "gc_statistics"
_DAYS = 365
_PUBLICATION = (
    "start_time TEXT,finish_time TEXT,revision INTEGER,files_added INTEGER,files_removed INTEGER,"
    "files_changed INTEGER,chunks_added INTEGER,chunks_duplicated INTEGER,catalogs_added INTEGER,"
    "directories_added INTEGER,directories_removed INTEGER,directories_changed INTEGER,symlinks_added INTEGER,"
    "symlinks_removed INTEGER,symlinks_changed INTEGER,sz_bytes_added INTEGER,sz_bytes_removed INTEGER,"
    "sz_bytes_uploaded INTEGER,sz_catalog_bytes_uploaded INTEGER,success INTEGER"
)
_COLLECTION = (
    "start_time TEXT,finish_time TEXT,n_preserved_catalogs INTEGER,n_condemned_catalogs INTEGER,"
    "n_condemned_objects INTEGER,sz_condemned_bytes INTEGER,n_duplicate_delete_requests INTEGER,success INTEGER"
)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS properties (key TEXT, value TEXT, CONSTRAINT pk_properties PRIMARY KEY (key));
CREATE TABLE IF NOT EXISTS publish_statistics (publish_id INTEGER PRIMARY KEY,{_PUBLICATION});
CREATE TABLE IF NOT EXISTS gc_statistics (gc_id INTEGER PRIMARY KEY,{_COLLECTION});
"""
_KINDS = {stat.S_IFREG: "files", stat.S_IFDIR: "directories", stat.S_IFLNK: "symlinks"}


class Tally:
    """Counts the differences of a publication, and hands them on."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, found: Difference) -> None:
        kind = _KINDS.get(stat.S_IFMT(found.mode))
        if kind is not None:
            self.counts[f"{kind}_{found.verb}"] += 1
        if found.verb is not Verb.ADDED:
            self.counts["sz_bytes_removed"] += found.size_before
        self.counts["sz_bytes_added"] += found.size

    def row(self, outcome: Outcome | None) -> dict[str, int]:
        """The values of a publication; of one that failed without an outcome."""
        values: dict[str, int] = dict(self.counts)
        if outcome is not None:
            values |= {
                "revision": outcome.revision,
                "catalogs_added": outcome.catalogs,
                "sz_bytes_uploaded": outcome.new_bytes,
            }
        return values | {"success": int(outcome is not None)}


def record(
    places: RepositoryPlaces, table: str, values: Mapping[str, int], started: datetime, finished: datetime
) -> Path:
    """Add a row to the repository's database, and forget old ones; where it is. PublishError if that cannot be."""
    file, days = _place(places)
    row = {"start_time": _text(started), "finish_time": _text(finished), **values}
    columns = [column for column in _columns(table) if column in row]
    marks = ",".join("?" * len(columns))
    try:
        make_directory(file.parent)
        with _opened(file, places.fqrn) as database:
            database.execute(
                f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})",  # noqa: S608 - names of our own
                [row[column] for column in columns],
            )
            for each in (PUBLICATIONS, COLLECTIONS) if days else ():
                database.execute(
                    f"DELETE FROM {each} WHERE julianday('now','start of day')-julianday(start_time) > ?",  # noqa: S608
                    (days,),
                )
    except (sqlite3.Error, OSError) as error:
        raise PublishError(f"the statistics database {file} cannot be written: {error}") from error
    return file


def rows(places: RepositoryPlaces, table: str) -> Iterator[tuple[str, ...]]:
    """The names of the columns, then every row. UsageError for another table, NotFound where nothing was recorded."""
    if table not in (PUBLICATIONS, COLLECTIONS):
        raise UsageError(f"there is no table {table}; there are {PUBLICATIONS} and {COLLECTIONS}")
    file = _place(places)[0]
    if not file.exists():
        raise NotFound(f"no statistics of {places.fqrn} were recorded yet ({file} is missing)")
    with _opened(file, places.fqrn) as database:
        cursor = database.execute(f"SELECT * FROM {table}")  # noqa: S608 - one of two names
        yield tuple(column[0] for column in cursor.description)
        for row in cursor:
            yield tuple("" if value is None else str(value) for value in row)


def upload(places: RepositoryPlaces, documents: WritableDocuments) -> None:
    """Store the database, and a page that draws it, with the repository, where its settings want that.

    As in the original below `stats`. PublishError where it cannot be read.
    """
    values = Values(settings.read(places.server_conf))
    try:
        if values.switch("CVMFS_UPLOAD_STATS_DB", default=False):
            with _opened(_place(places)[0], places.fqrn) as database:
                data = database.serialize()
            documents.write(STATISTICS, data)
        if values.switch("CVMFS_UPLOAD_STATS_PLOTS", default=False):
            tables = [list(_named(rows(places, table))) for table in (PUBLICATIONS, COLLECTIONS)]
            from swrepo.publish import statistics_page  # here: few repositories have one

            documents.write(STATISTICS_PAGE, statistics_page.page(places.fqrn, *tables))
    except sqlite3.Error as error:
        raise PublishError(f"the statistics database of {places.fqrn} cannot be read: {error}") from error


def _named(found: Iterator[tuple[str, ...]]) -> Iterator[dict[str, str]]:
    names = next(found)
    return (dict(zip(names, row, strict=True)) for row in found)


def merge(sources: tuple[Path, Path], target: Path) -> int:
    """One database with the rows of two, by time; how many. UsageError where they are not two of one repository."""
    if target.exists():
        raise UsageError(f"{target} exists already; -o names a new file")
    try:
        names = {_repository(file) for file in sources}
        if len(names) > 1:
            raise UsageError(f"the two are of different repositories: {', '.join(sorted(names))}")
        count = 0
        with _opened(target, names.pop()) as merged:
            for table in (PUBLICATIONS, COLLECTIONS):
                columns = ",".join(_columns(table))
                found = [row for file in sources for row in _select(file, table, columns)]
                marks = ",".join("?" * len(_columns(table)))
                merged.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", sorted(found))  # noqa: S608
                count += len(found)
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise UsageError(f"not two statistics databases: {error}") from error
    return count


def is_printed(places: RepositoryPlaces) -> bool:
    """Whether a publication shows its row (CVMFS_PRINT_STATISTICS)."""
    return Values(settings.read(places.server_conf)).switch("CVMFS_PRINT_STATISTICS", default=False)


def _select(file: Path, table: str, columns: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        return database.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608 - names of our own


def _repository(file: Path) -> str:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        found = database.execute("SELECT value FROM properties WHERE key='repo_name'").fetchone()
        return str(found[0]) if found else ""


def _place(places: RepositoryPlaces) -> tuple[Path, int]:
    values = Values(settings.read(places.server_conf))
    given = values.text("CVMFS_STATISTICS_DB")
    return Path(given) if given else places.spool / "stats.db", values.number("CVMFS_STATS_DB_DAYS_TO_KEEP", _DAYS)


def _columns(table: str) -> list[str]:
    return [column.split()[0] for column in (_PUBLICATION if table == PUBLICATIONS else _COLLECTION).split(",")]


@contextmanager
def _opened(file: Path, fqrn: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript(_SCHEMA)
        properties = {"schema": "1.0", "schema_revision": "4", "repo_name": fqrn}
        database.executemany("INSERT OR IGNORE INTO properties VALUES (?, ?)", properties.items())
        yield database


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
