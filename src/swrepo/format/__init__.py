"""Bytes <-> values of the CernVM-FS format. Pure: no files, sockets, databases or clocks."""
