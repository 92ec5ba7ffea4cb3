from pathlib import Path

from tests.docs.commands_in import commands_in


def test_commands_are_found_in_shell_boxes_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        """
Say `nodeops inline`.

```text
nodeops shown
```

- In a list:

  ```sh
  $ nodeops drain c01 --to 'c 02'  # why
  openstack server list
  nodeops drain \\
      c02
  ```
"""
    )
    assert [(command.line, command.words) for command in commands_in(page)] == [
        (11, ("nodeops", "drain", "c01", "--to", "c 02")),
        (13, ("nodeops", "drain", "c02")),
    ]
    assert [command.words for command in commands_in(page, program="openstack")] == [
        ("openstack", "server", "list")
    ]
