"""What Glance tells of an image."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from nodeops.clients.wire import Service
from nodeops.errors import ApiError

BASE = frozenset(
    {
        *("id", "name", "status", "visibility", "protected", "owner", "self", "file", "schema", "tags"),
        *("checksum", "os_hash_algo", "os_hash_value", "size", "virtual_size", "created_at", "updated_at"),
        *("container_format", "disk_format", "direct_url", "locations", "stores", "os_hidden", "min_ram"),
        "min_disk",
    }
)
"""Keys that every image has (`glance/api/v2/images.py`); the others are its properties."""


@dataclass
class Image:
    service: Service

    def image_properties(self, image_id: str) -> Mapping[str, str]:
        try:
            body = self.service.get(f"images/{quote(image_id)}", subject=f"image {image_id}").body
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return {}
            raise
        return {key: str(value) for key, value in body.items() if key not in BASE and value is not None}
