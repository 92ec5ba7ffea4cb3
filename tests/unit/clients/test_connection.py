"""Which cloud and which account: as openstackclient takes them."""

import json
from pathlib import Path

import pytest

from nodeops.clients.cloud import Cloud, connect
from nodeops.clients.connection import Connection, open_connection
from nodeops.errors import ApiError, AuthenticationError, ConfigurationError
from tests.unit.clients.answers import Script, connected, credentials

CLOUDS = {
    "clouds": {
        "prod": {
            "auth": {
                "auth_url": "http://prod.example/identity/v3",
                "username": "ops",
                "password": "pa$$word",
                "project_name": "admin",
                "user_domain_name": "Corp",
                "project_domain_name": "Corp",
            },
            "region_name": "East",
            "interface": "internal",
        },
        "robot": {
            "auth_type": "v3applicationcredential",
            "auth": {
                "auth_url": "http://prod.example/identity/v3",
                "application_credential_id": "id",
                "application_credential_secret": "pa$$word",
            },
        },
    }
}


@pytest.fixture
def clouds(tmp_path: Path) -> Path:
    path = tmp_path / "clouds.yaml"
    path.write_text(json.dumps(CLOUDS))
    return path


def auth_of(connection: Connection) -> dict[str, str]:
    return dict(connection.region.get_auth_args())


@pytest.mark.usefixtures("clouds")
def test_a_cloud_of_clouds_yaml() -> None:
    connection = open_connection({"cloud": "prod"}, environment={})
    assert (connection.name, connection.region_name) == ("prod", "East")
    assert connection.auth_url == "http://prod.example/identity/v3"
    assert connection.region.get_interface("compute") == "internal"
    assert auth_of(connection)["user_domain_name"] == "Corp"


@pytest.mark.usefixtures("clouds")
def test_an_application_credential() -> None:
    connection = open_connection({"cloud": "robot"}, environment={})
    assert connection.region.config["auth_type"] == "v3applicationcredential"
    assert auth_of(connection)["application_credential_id"] == "id"


@pytest.mark.usefixtures("clouds")
def test_variables_win_over_clouds_yaml_and_options_over_variables() -> None:
    variables = {"OS_CLOUD": "prod", "OS_INTERFACE": "admin", "OS_USERNAME": "me", "OS_PROJECT_NAME": ""}
    connection = open_connection({"interface": "public"}, environment=variables)
    assert connection.name == "prod"
    assert connection.region.get_interface("compute") == "public"
    assert auth_of(connection)["username"] == "me"
    assert auth_of(connection)["project_name"] == "admin"


def test_variables_alone_and_the_default_domain() -> None:
    variables = {
        "OS_AUTH_URL": "http://prod.example:5000/v3",
        "OS_USERNAME": "ops",
        "OS_PASSWORD": "pa$$word",
        "OS_TENANT_NAME": "admin",
    }
    connection = open_connection({}, environment=variables)
    assert connection.name == "prod.example"
    assert auth_of(connection)["project_name"] == "admin"
    assert auth_of(connection)["user_domain_id"] == "default"


def test_a_missing_password_is_asked_for() -> None:
    options: dict[str, str | bool] = {
        "auth_url": "http://x/v3",
        "username": "ops",
        "project_name": "admin",
    }
    connection = open_connection(options, environment={}, ask=lambda prompt: f"typed at {prompt}")
    assert auth_of(connection)["password"].startswith("typed at Password")


def test_a_token_instead_of_a_password() -> None:
    options: dict[str, str | bool] = {"auth_url": "http://x/v3", "token": "t1", "project_name": "admin"}
    connection = open_connection(options, environment={})
    assert connection.region.config["auth_type"] == "token"


@pytest.mark.usefixtures("clouds")
def test_an_unknown_cloud_names_those_near() -> None:
    with pytest.raises(ConfigurationError, match="cloud prd is not configured") as caught:
        open_connection({"cloud": "prd"}, environment={})
    assert "prod" in caught.value.hint


def test_no_cloud_at_all() -> None:
    with pytest.raises(AuthenticationError, match="no cloud is configured"):
        open_connection({}, environment={})


def test_credentials_without_an_address() -> None:
    with pytest.raises(AuthenticationError, match="no cloud is configured"):
        open_connection({"username": "ops"}, environment={})


@pytest.mark.parametrize("text", ["clouds: [", "clouds:\n\tprod: x\n", "", "- 1\n"])
def test_a_broken_clouds_yaml_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "clouds.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        open_connection({"cloud": "prod"}, environment={})
    assert "clouds.yaml" in caught.value.message + caught.value.hint


@pytest.mark.usefixtures("clouds")
def test_an_authentication_type_that_does_not_exist() -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        open_connection({"cloud": "prod", "auth_type": "v3nonsense"}, environment={})


def test_insecure_and_authority() -> None:
    options: dict[str, str | bool] = {"auth_url": "https://x/v3", "username": "a", "password": "b"}
    assert open_connection(options | {"verify": False}, environment={}).session.verify is False
    secure = open_connection(options | {"cacert": "/etc/ca.pem"}, environment={})
    assert secure.session.verify == "/etc/ca.pem"


def test_a_wrong_password(script: Script) -> None:
    script.password = "another"
    with connected(script) as connection, pytest.raises(AuthenticationError, match="refused") as caught:
        Cloud(connection).identity()
    assert "secret" not in caught.value.message


def test_keystone_out_of_reach() -> None:
    options: dict[str, str | bool] = {"auth_url": "http://127.0.0.1:1/v3", "username": "a", "password": "b"}
    cloud = connect(options, environment={})
    with pytest.raises(ApiError, match="no answer from keystone: connection refused"):
        cloud.connection.headers()


def test_an_address_that_is_not_keystone(script: Script) -> None:
    options = credentials(script) | {"auth_url": f"{script.url}/elsewhere"}
    cloud = connect(options, environment={})
    with pytest.raises((ApiError, ConfigurationError), match="authentication at"):
        cloud.connection.headers()


def test_who_we_are(cloud: Cloud) -> None:
    access = cloud.connection.access()
    assert (access.username, access.project_name, access.role_names) == ("admin", "ops", ["admin"])
    assert cloud.traffic.requests == 2
