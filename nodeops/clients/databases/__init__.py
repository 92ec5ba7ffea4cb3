"""The databases of Nova and Neutron by SQLAlchemy: reflected tables, small transactions, no ORM."""

from nodeops.clients.databases.records import DatabaseRecords

__all__ = ["DatabaseRecords"]
