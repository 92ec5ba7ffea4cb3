"""How the fakes say no."""

from nodeops.errors import ApiError


def refuse(status: int, message: str) -> ApiError:
    return ApiError(message, status=status, request_id="req-refused")
