"""Record what Ansible makes of the corpus: `python record.py ANSIBLE_INVENTORY` writes corpus/expected.json.

ANSIBLE_INVENTORY is an `ansible-inventory` in an environment of its own; nodeops does not depend on Ansible.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
ENVIRONMENT = {"ANSIBLE_INVENTORY_ENABLED": "ini", "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true"}


def members(listing: dict[str, Any], group: str) -> set[str]:
    entry = listing.get(group, {})
    below = (members(listing, child) for child in entry.get("children", ()))
    return set(entry.get("hosts", ())).union(*below)


def seen_by(program: str, path: Path) -> dict[str, Any] | None:
    """Host variables and the hosts of each group that has any; None where Ansible refuses the file."""
    ran = subprocess.run(
        [program, "-i", str(path), "--list"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **ENVIRONMENT},
    )
    if ran.returncode:
        return None
    listing = json.loads(ran.stdout)
    variables = listing.pop("_meta")["hostvars"]
    groups = {group: sorted(members(listing, group)) for group in listing}
    hosts = {host: variables.get(host, {}) for host in sorted(groups["all"])}
    return {"hosts": hosts, "groups": {group: names for group, names in sorted(groups.items()) if names}}


def main(program: str) -> None:
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    cases = {path.name: seen_by(program, path) for path in sorted(CORPUS.glob("*.ini"))}
    recorded = {"version": version.splitlines()[0], "cases": cases}
    (CORPUS / "expected.json").write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
