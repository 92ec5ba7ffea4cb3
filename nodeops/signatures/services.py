"""What was wrong between the services."""

from nodeops.signatures.signature import Signature, known

SERVICES: tuple[Signature, ...] = (
    known(
        "message-bus-timeout",
        r"Timed out waiting for a reply (?:\S+ )?to message ID|MessagingTimeout",
        "a service did not answer over the message bus in time: it is down, overloaded or cut off",
        "oslo_messaging/_drivers/amqpdriver.py",
        "nodeops doctor",
    ),
    known(
        "message-bus-unreachable",
        r"AMQP server on (?P<where>\S+?) is unreachable|Unable to connect to AMQP server on (?P<other>\S+)",
        "the message bus at {where}{other} does not answer",
        "oslo_messaging/_drivers/impl_rabbit.py",
        "nodeops host HOST status",
    ),
    known(
        "conductor-silent",
        r"Timed out waiting for nova-conductor",
        "nova-conductor does not answer over the message bus",
        "nova/conductor/api.py, wait_until_ready",
        "openstack compute service list --service nova-conductor",
    ),
    known(
        "database",
        r"DBConnectionError|Lost connection to (?:MySQL|MariaDB) server|Can't connect to (?:MySQL|MariaDB)|"
        r"Too many connections|DBDeadlock|Deadlock found when trying to get lock",
        "a service could not use its database",
        "oslo_db/exception.py",
        "nodeops doctor",
    ),
    known(
        "compute-service-down",
        r"Compute service of (?P<host>\S+) is unavailable at this time",
        "nova-compute on {host} is down or has not reported for a while",
        "nova/exception.py, ComputeServiceUnavailable",
        "nodeops host {host} status",
    ),
    known(
        "compute-service-up",
        r"Compute service of (?P<host>\S+) is still in use",
        "nova-compute on {host} counts as up, and Nova evacuates only from a host that is down",
        "nova/exception.py, ComputeServiceInUse",
        "nodeops inquest {host}",
    ),
    known(
        "host-unknown",
        r"Compute host (?P<host>\S+) could not be found",
        "Nova knows no compute node {host}",
        "nova/exception.py, ComputeHostNotFound",
        "nodeops status",
    ),
    known(
        "wrong-state",
        r"Cannot '(?P<action>[\w-]+)' instance (?P<server>\S+) "
        r"while it is in (?P<kind>\w+) (?P<state>[\w-]+)",
        "Nova does not {action} while its {kind} is {state}",
        "nova/api/openstack/common.py, raise_http_conflict_for_instance_invalid_state",
        "nodeops states HOST",
    ),
    known(
        "service-endpoint",
        r"Unable to establish connection to (?P<url>https?://[^\s:]+:?\d*)",
        "{url} does not answer",
        "keystoneauth1/exceptions/connection.py",
        "nodeops doctor",
    ),
    known(
        "not-allowed",
        r"Policy doesn't allow (?P<rule>\S+) to be performed",
        "policy does not allow {rule} to this user",
        "nova/exception.py, PolicyNotAuthorized",
        "nodeops doctor",
    ),
)
