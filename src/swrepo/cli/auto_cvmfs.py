"""`auto.cvmfs NAME`: the program map of autofs. Prints how to mount the repository; 1 for what can be no name of one.

`/etc/auto.master.d/cvmfs.autofs` holds `/cvmfs program:/usr/bin/auto.cvmfs`; `cvmfs_config setup` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from swrepo.format.wellknown import is_fqrn


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if len(words) != 1 or "." not in words[0] or not is_fqrn(words[0]):
        return 1
    print(f"-fstype=cvmfs :{words[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
