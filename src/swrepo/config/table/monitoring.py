"""What is logged, counted and sent."""

from __future__ import annotations

from swrepo.config.parameter import Parameter, accepted

ROWS = (
    Parameter("CVMFS_USYSLOG", "file", "", "Log to this file.", otherwise="to syslog"),
    Parameter(
        "CVMFS_SYSLOG_LEVEL",
        "`1`, `2` or `3`",
        "2",
        "As what ordinary messages are sent: debugging, information or notices.",
    ),
    Parameter("CVMFS_SYSLOG_FACILITY", "`0` to `7`", "", "Log as `local0` to `local7`.", otherwise="as `user`"),
    Parameter("CVMFS_SYSLOG_PREFIX", "text", "", "What each line begins with.", otherwise="the program"),
    Parameter("CVMFS_DEBUGLOG", "file", "", "Write all that there is to say to this file, too."),
    Parameter("CVMFS_LOG_FORMAT", "`text` or `json`", "text", "Log lines for people, or one JSON object on each."),
    Parameter(
        "CVMFS_METRICS",
        "`HOST:PORT` or path of a socket",
        "",
        "Where metrics can be had over HTTP, as OpenMetrics; the same as `-o metrics=`.",
    ),
    accepted(
        "CVMFS_INSTRUMENT_FUSE",
        "switch",
        "no",
        "Measure how long answers take.",
        "those that wait for something are always measured, the others take microseconds",
    ),
    Parameter(
        "CVMFS_TRACEFILE",
        "file",
        "",
        "Append a line of CSV to this file for each request about a path, as the original does; it holds from the next "
        "mount on.",
    ),
    Parameter("CVMFS_TRACEBUFFER", "number", "8192", "How many such lines may wait in memory."),
    Parameter("CVMFS_TRACEBUFFER_THRESHOLD", "number", "7000", "From how many on they are written."),
    Parameter("CVMFS_TELEMETRY_SEND", "switch", "no", "Send counters to an InfluxDB, over UDP."),
    Parameter("CVMFS_TELEMETRY_RATE", "seconds", "300", "How often, 5 at least."),
    Parameter("CVMFS_INFLUX_HOST", "name", "", "Its host."),
    Parameter("CVMFS_INFLUX_PORT", "number", "", "Its port."),
    Parameter("CVMFS_INFLUX_METRIC_NAME", "name", "", "What the counters are called there, before `_absolute`."),
    Parameter("CVMFS_INFLUX_EXTRA_TAGS", "text", "", "More tags: `NAME=VALUE`, commas between."),
    Parameter("CVMFS_INFLUX_EXTRA_FIELDS", "text", "", "More fields, in the same way."),
)
