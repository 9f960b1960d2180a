"""What a set version consists of. Versions are never changed or deleted, so what is
read once stays so."""

from __future__ import annotations

from collections.abc import Sequence

from policies.models import PolicySetMember, PolicyVersion

Document = tuple[str, str]


def members_of(policy_set_version_id: str) -> list[str]:
    """The policy versions of a set version, in the order of its manifest."""
    members = PolicySetMember.objects.filter(
        policy_set_version_id=policy_set_version_id
    )
    return list(members.order_by("place").values_list("policy_version_id", flat=True))


def documents_of(version_ids: Sequence[str]) -> list[Document]:
    """(policy version, source) of each, in the order asked for."""
    found = dict(
        PolicyVersion.objects.filter(id__in=version_ids).values_list("id", "content")
    )
    return [(version_id, found[version_id]) for version_id in version_ids]
