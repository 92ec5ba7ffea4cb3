"""What Placement tells: who holds what, and who has room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nodeops.clients.wire import Service
from nodeops.model.facts import Allocation, Resource

VERSION = "1.36"
"""Known to every release since Ussuri; 1.29 has the trees of providers, 1.22 forbidden traits."""

Figures = Mapping[str, Mapping[str, Resource]]


@dataclass
class Placement:
    service: Service

    def allocations_on(self, provider_id: str) -> Mapping[str, Mapping[str, int]]:
        body = self._get(
            f"resource_providers/{quote(provider_id)}/allocations", f"allocations on provider {provider_id}"
        )
        return {consumer: dict(entry["resources"]) for consumer, entry in body["allocations"].items()}

    def allocation(self, server_id: str) -> Mapping[str, Mapping[str, int]]:
        body = self._get(f"allocations/{quote(server_id)}", f"allocation of server {server_id}")
        return {provider: dict(entry["resources"]) for provider, entry in body["allocations"].items()}

    def holding(self, server_id: str) -> Allocation:
        """A consumer that holds nothing has no generation, project nor user."""
        body = self._get(f"allocations/{quote(server_id)}", f"allocation of server {server_id}")
        return Allocation(
            consumer_id=server_id,
            resources={key: dict(entry["resources"]) for key, entry in body["allocations"].items()},
            project_id=body.get("project_id") or "",
            user_id=body.get("user_id") or "",
            generation=body.get("consumer_generation"),
        )

    def tree(self, provider_id: str) -> frozenset[str]:
        """`in_tree` takes any member; only what is under this root counts."""
        body = self._get(
            "resource_providers", f"providers under provider {provider_id}", {"in_tree": provider_id}
        )
        found = body["resource_providers"]
        return frozenset(each["uuid"] for each in found if each["root_provider_uuid"] == provider_id)

    def resources_of(self, provider_id: str) -> Mapping[str, Resource]:
        """Of that provider alone; capacity as `placement/objects/allocation.py` counts it."""
        path, subject = f"resource_providers/{quote(provider_id)}", f"resources of provider {provider_id}"
        inventories = self._get(f"{path}/inventories", subject)["inventories"]
        used = self._get(f"{path}/usages", subject)["usages"]
        return {
            name: Resource(
                int((each["total"] - each["reserved"]) * each["allocation_ratio"]), used.get(name, 0)
            )
            for name, each in inventories.items()
        }

    def set_allocation(self, allocation: Allocation) -> str:
        """One PUT replaces everything, and is checked for room (`placement/handlers/allocation.py`)."""
        body = {
            "allocations": {
                provider: {"resources": dict(amounts)} for provider, amounts in allocation.resources.items()
            },
            "project_id": allocation.project_id,
            "user_id": allocation.user_id,
            "consumer_generation": allocation.generation,
        }
        path = f"allocations/{quote(allocation.consumer_id)}"
        subject = f"allocation of server {allocation.consumer_id}"
        return self.service.write("PUT", path, subject=subject, body=body, microversion=VERSION).request_id

    def candidates(
        self, resources: Mapping[str, int], *, required: Sequence[str] = (), forbidden: Sequence[str] = ()
    ) -> Figures:
        wanted = {name: amount for name, amount in resources.items() if amount > 0}
        if not wanted:
            return {}
        traits = [*required, *(f"!{trait}" for trait in forbidden)]
        params = {"resources": ",".join(f"{name}:{amount}" for name, amount in sorted(wanted.items()))}
        if traits:
            params["required"] = ",".join(traits)
        words = params["resources"] + (f" with {params['required']}" if traits else "")
        return roots(self._get("allocation_candidates", f"room for {words}", params))

    def traits(self, required: Sequence[str]) -> frozenset[str]:
        params = {"required": ",".join(required)} if required else {}
        body = self._get("resource_providers", f"providers with traits {' '.join(required)}", params)
        return frozenset(provider["uuid"] for provider in body["resource_providers"])

    def _get(self, path: str, subject: str, params: Mapping[str, str] | None = None) -> Any:
        return self.service.get(path, subject=subject, params=params, microversion=VERSION).body


def roots(body: Mapping[str, Any]) -> dict[str, dict[str, Resource]]:
    """Allocation candidates by the root of their tree, which is the compute node.

    A class that several providers of a tree have (NUMA cells) is added up; of providers outside the tree
    (shared disk) the figures of the one that the candidate would use are taken.
    """
    summaries = body["provider_summaries"]
    found: dict[str, dict[str, Resource]] = {}
    trees: dict[str, list[str]] = {}
    for provider, summary in summaries.items():
        trees.setdefault(summary["root_provider_uuid"], []).append(provider)
    for request in body["allocation_requests"]:
        used = list(request["allocations"])
        for root in _compute_roots(used, summaries):
            if root not in found:
                found[root] = _sum(summaries[provider] for provider in trees[root])
            for provider in used:
                if summaries[provider]["root_provider_uuid"] != root:
                    shared = _sum([summaries[provider]])
                    for name in request["allocations"][provider]["resources"]:
                        found[root].setdefault(name, shared[name])
    return found


def _compute_roots(used: Sequence[str], summaries: Mapping[str, Any]) -> set[str]:
    """The trees of a candidate that have memory or processors; a disk shared by aggregate has neither."""
    in_trees = {summaries[provider]["root_provider_uuid"] for provider in used}
    if len(in_trees) == 1:
        return in_trees
    of_computes = {
        summary["root_provider_uuid"]
        for summary in summaries.values()
        if summary["resources"].keys() & {"VCPU", "PCPU", "MEMORY_MB"}
    }
    return in_trees & of_computes


def _sum(summaries: Any) -> dict[str, Resource]:
    found: dict[str, Resource] = {}
    for summary in summaries:
        for name, figures in summary["resources"].items():
            before = found.get(name, Resource(0, 0))
            found[name] = Resource(before.capacity + figures["capacity"], before.used + figures["used"])
    return found
