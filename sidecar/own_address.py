"""The address at which the other nodes find the processes of this one."""

from __future__ import annotations

from sidecar.contract.orders import NodePlan


def read(plan: NodePlan) -> str:
    """The plan's; of a container on a network of its own, which has an address once it starts, what it finds it has."""
    if plan.is_remote or not (plan.is_contained and plan.meets):
        return plan.address
    from sidecar import meeting  # Only here: it brings modules that other supervisors need not load.

    return next((address.ip for address in meeting.own_addresses()), plan.address)
